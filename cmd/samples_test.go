package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The stock configurations of James's products, in our words, load without an
// error; so does the built-in one, without even a warning.
func TestSampleConfigurations(t *testing.T) {
	dirs, err := filepath.Glob("../conf/testdata/samples/*")
	if err != nil || len(dirs) < 4 {
		t.Fatalf("samples: %v, %v", dirs, err)
	}
	for _, dir := range append(dirs, "") {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := Run(t.Context(), []string{"check", "-conf", dir}, os.Stdin, &stdout, &stderr); code != 0 {
				t.Errorf("exit status %d\n%s%s", code, stdout.String(), stderr.String())
			}
			if dir == "" && stdout.Len()+stderr.Len() > 0 {
				t.Errorf("the built-in configuration has problems:\n%s%s", stdout.String(), stderr.String())
			}
		})
	}
}

// The XML published with James's DSN how-to has three faults. One check shows
// them all.
func TestPublishedFaults(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"smtpserver.xml": "<smtpserver enabled=\"true\">\n<...> <!-- unchanged -->\n<handlerchain>\n" +
			"<handler class=\"org.apache.james.smtpserver.dsn.DSNEhloHook\"/>\n</handlerchain>\n</smtpserver>\n",
		"mailetcontainer.xml": "<mailetcontainer>\n<processors>\n<processor state=\"root\">\\\n</processor>\n<processor state=\"error\">\n" +
			"<mailet match=\"All\" class=\"DSNBounce\">\n<action>failed</action>\n<defaultStatus>5.1.6/defaultStatus>\n</mailet>\n</processor>\n</processors>\n</mailetcontainer>\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, stderr bytes.Buffer
	if code := Run(t.Context(), []string{"check", "-conf", dir}, os.Stdin, &stdout, &stderr); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	for _, want := range []string{
		"smtpserver.xml:2:1: error: <...> is a placeholder from the documentation",
		`mailetcontainer.xml:3:25: warning: text "\"`,
		"mailetcontainer.xml:8:1: error: <defaultStatus> is never closed",
	} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, stdout.String())
		}
	}
}
