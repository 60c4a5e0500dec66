package cmd

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/mailetd/mailetd/conf"
)

// check prints every problem of the configuration. It opens no port and no
// store.
func (p *program) check(_ context.Context, args []string) error {
	f := p.flags("check")
	operands, err := f.parse(args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return usageError{fmt.Sprintf("check takes no %q; name the folder with -conf", operands[0])}
	}
	r := &conf.Report{}
	p.load(f, slog.New(slog.DiscardHandler), r).build(nil, r)
	for _, problem := range r.Problems() {
		fmt.Fprintln(p.stdout, problem)
	}
	if r.HasErrors() {
		return errQuiet
	}
	return nil
}
