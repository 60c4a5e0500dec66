package cmd

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mailetd/mailetd/"

// layers says which of our packages each package may import. A new arrow is a
// decision about the design: change this table in a commit of its own, and see
// the drawing in docs/design.md.
var layers = map[string][]string{
	"conf":                      {},
	"container":                 {"conf"},
	"container/classdoc":        {},
	"docs":                      {},
	"container/dns":             {},
	"container/dns/dnstest":     {"container/dns"},
	"container/dsn":             {"container", "container/mime"},
	"container/engine":          {"conf", "container", "container/logctx", "container/metrics"},
	"container/javaregex":       {},
	"container/ldap":            {"conf", "container"},
	"container/ldap/ldaptest":   {},
	"container/local":           {"container", "container/javaregex"},
	"container/local/localtest": {"container/local"},
	"container/logctx":          {},
	"container/mailauth":        {"container", "container/dns", "container/mime"},
	"container/metrics":         {},
	"container/mime":            {"container"},
	"container/scan":            {"container", "container/mime"},
	"container/spool":           {"container", "container/logctx", "repository"},
	"container/throttle":        {},
	"repository":                {"container"},
	"repository/repositorytest": {"container", "repository"},
	"repository/sqlite":         {"container", "container/local", "repository"},
	"repository/backup":         {"repository/sqlite"},
	"matchers":                  {"conf", "container", "container/dns", "container/javaregex", "container/ldap", "container/local", "container/mime"},
	"mailets": {"conf", "container", "container/dns", "container/dsn", "container/javaregex", "container/local", "container/mailauth", "container/metrics", "container/mime", "container/scan",
		"mailets/amqp", "mailets/bayes", "mailets/delivery", "mailets/mailbox", "mailets/managesieve", "mailets/pipe", "mailets/ratelimit", "mailets/remote", "mailets/responder", "mailets/sieve", "mailets/smime", "mailets/webhook", "repository"},
	"mailets/bayes":               {},
	"mailets/amqp":                {},
	"mailets/amqp/amqptest":       {},
	"mailets/delivery":            {"container"},
	"mailets/mailbox":             {"container", "container/dsn", "container/local", "container/mime"},
	"mailets/managesieve":         {"container/local"},
	"mailets/pipe":                {"container", "container/mime"},
	"mailets/ratelimit":           {"container/local"},
	"mailets/remote":              {"conf", "container", "container/dns", "container/logctx", "container/metrics", "container/mime", "repository"},
	"mailets/responder":           {"container", "container/mime"},
	"mailets/remote/queuetest":    {"container", "repository"},
	"mailets/remote/hoptest":      {},
	"mailets/smime":               {"container", "container/mime"},
	"mailets/sieve":               {"container", "container/mime"},
	"mailets/webhook":             {"container", "container/mime"},
	"smtphooks":                   {"conf", "container", "container/dns", "container/local", "container/mailauth", "container/metrics", "container/mime", "container/scan", "repository", "smtphooks/crowdsec"},
	"smtphooks/bearer":            {"conf"},
	"smtphooks/bearer/bearertest": {"conf"},
	"smtphooks/crowdsec":          {},
	"smtphooks/server":            {"conf", "container", "container/dns", "container/logctx", "container/metrics", "container/mime", "container/throttle", "repository", "smtphooks", "smtphooks/bearer"},
	"webadmin":                    {"conf", "container", "container/local", "container/metrics", "container/mime", "container/throttle", "repository", "webadmin/task"},
	"webadmin/task":               {},
	"cmd/mailetd":                 {"cmd"},
}

// TestLayers compares the imports of all packages with the table. Package cmd,
// which wires the others, may import everything.
func TestLayers(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}}{{range .Imports}} {{.}}{{end}}", module+"...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], module)
		if pkg == "cmd" || strings.HasPrefix(pkg, "cmd/testdata") {
			continue
		}
		allowed, known := layers[pkg]
		if !known {
			t.Errorf("package %s is not in the table", pkg)
			continue
		}
		for _, imp := range fields[1:] {
			if imp, ours := strings.CutPrefix(imp, module); ours && !slices.Contains(allowed, imp) {
				t.Errorf("%s imports %s, which the table does not allow", pkg, imp)
			}
		}
	}
}
