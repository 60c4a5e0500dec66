package cmd

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is the version of the program; a release build sets it.
var Version = "0.1.0-dev"

func (p *program) version(context.Context, []string) error {
	rev := ""
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" {
				rev = " " + s.Value[:min(12, len(s.Value))]
			}
		}
	}
	_, err := fmt.Fprintf(p.stdout, "mailetd %s%s %s %s/%s\n", Version, rev, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
