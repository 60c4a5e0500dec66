package conf

import (
	"strings"
	"testing"
)

func TestExpandXML(t *testing.T) {
	vars := &Vars{Sys: map[string]string{"dir": "/srv"}, Env: func(n string) (string, bool) {
		v, ok := map[string]string{"NAME": "a & <b>", "EMPTY": "", "LOOP": "${env:NAME}"}[n]
		return v, ok
	}}
	for _, tc := range []struct{ name, text, want, problem string }{
		{"none", "plain $ {x} $x", "plain $ {x} $x", ""},
		{"environment", "<${env:NAME}>", "<a & <b>>", ""},
		{"empty", "[${env:EMPTY}]", "[]", ""},
		{"set wins over fallback", "${env:EMPTY:-x}", "", ""},
		{"fallback", "${env:NONE:-x:-y}", "x:-y", ""},
		{"empty fallback", "[${env:NONE:-}]", "[]", ""},
		{"nested fallback", "${env:NONE:-${sys:dir}/x}", "/srv/x", ""},
		{"not expanded again", "${env:LOOP}", "${env:NAME}", ""},
		{"system", "${sys:dir}${sys:dir}", "/srv/srv", ""},
		{"unset environment", "${env:NONE}", "${env:NONE}", "v.xml:1:4: warning: ${env:NONE} has no value and stays as written; set the environment variable NONE, or give a default: ${env:NONE:-default}"},
		{"unset system", "${sys:none}", "${sys:none}", "v.xml:1:4: warning: ${sys:none} has no value and stays as written; add none to jvm.properties or give -Dnone=value"},
		{"constant", "${const:java.io.File.separator}", "${const:java.io.File.separator}", "v.xml:1:4: error: ${const:java.io.File.separator} names a Java constant, which is not available here; write its value instead"},
		{"other key", "${c.d}", "value", ""},
		{"no key", "${date:yyyy}", "${date:yyyy}", "v.xml:1:4: warning: ${date:yyyy} has no value and stays as written"},
		{"itself", "${b}", "${b}", "v.xml:1:4: warning: ${b} has no value and stays as written"},
		{"regex group", "${1}@x${12}", "${1}@x${12}", ""},
		{"escaped", "$${env:NAME}", "${env:NAME}", ""},
		{"not closed", "${env:NAME", "${env:NAME", ""},
		{"nothing in it", "${}", "${}", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			esc := strings.NewReplacer("<", "&lt;", "&", "&amp;").Replace(tc.text)
			for _, kind := range []string{"text", "attribute"} {
				r := &Report{}
				xml := "<a><b>" + esc + "</b><c><d>value</d></c></a>"
				if kind == "attribute" {
					xml = `<a><b x="` + esc + `"/><c><d>value</d></c></a>`
				}
				if kind == "attribute" && tc.name == "itself" {
					continue
				}
				f := ParseXML("v.xml", []byte(xml), r)
				vars.ExpandXML(f, r)
				b := f.Root.SelectElement("b")
				if got := Text(b) + b.SelectAttrValue("x", ""); got != tc.want {
					t.Errorf("%s: got %q, want %q", kind, got, tc.want)
				}
				if got := strings.TrimSpace(problemLines(r)); got != tc.problem {
					t.Errorf("%s: got %q, want %q", kind, got, tc.problem)
				}
			}
		})
	}
	(&Vars{}).ExpandXML(&File{Name: "none.xml"}, &Report{})
}

func TestVarsEnvironment(t *testing.T) {
	t.Setenv("MAILETD_TEST_VARIABLE", "here")
	if got, ok := (&Vars{}).resolve("env:MAILETD_TEST_VARIABLE"); got != "here" || !ok {
		t.Errorf("got %q, %t", got, ok)
	}
	if got, ok := (*Vars)(nil).resolve("env:MAILETD_TEST_VARIABLE"); got != "" || ok {
		t.Errorf("without variables: got %q, %t", got, ok)
	}
}
