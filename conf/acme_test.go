package conf

import (
	"reflect"
	"strings"
	"testing"
)

func TestACME(t *testing.T) {
	got, problems := readSMTP(`<tls startTLS="true"><acme><domains>MX.example.org, mail.example.org.</domains><email>a@example.org</email></acme></tls><handlerchain/>`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	a := got[0].TLS.ACME
	a.Pos = Pos{}
	want := &ACME{Domains: []string{"mx.example.org", "mail.example.org"}, Email: "a@example.org", Directory: letsEncrypt, Challenge: ACMEHTTP, Port: 80}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got %+v, want %+v", a, want)
	}
	got, problems = readSMTP(`<tls socketTLS="true"><acme><domains>a.test</domains><directory>http://127.0.0.1:1/d</directory><challenge>tls-alpn-01</challenge><address>[::1]:443</address></acme></tls><handlerchain/>`)
	if a := got[0].TLS.ACME; len(problems) > 0 || a.Host != "::1" || a.Port != 443 || a.Challenge != ACMETLS {
		t.Errorf("got %+v, problems %v", a, problems)
	}
}

func TestACMEProblems(t *testing.T) {
	for elements, want := range map[string]string{
		"<acme/>": "<acme> needs <domains>",
		"<acme><domains>*.example.org</domains></acme>":                                                  `"*.example.org" is not the name of a host`,
		"<acme><domains>a.test</domains><email>Me &lt;a@a.test></email></acme>":                          "<email> is",
		"<acme><domains>192.0.2.1</domains></acme>":                                                      `"192.0.2.1" is not the name of a host`,
		"<acme><domains>a.test</domains><directory>http://acme.test/</directory></acme>":                 "want the https URL",
		"<acme><domains>a.test</domains><challenge>dns-01</challenge></acme>":                            `<challenge> is "dns-01"`,
		"<acme><domains>a.test</domains><address>80</address></acme>":                                    `<address> is "80"`,
		"<acme><domains>a.test</domains><mail>a@a.test</mail></acme>":                                    "<mail> is not an element of <acme>",
		"<keystore>k</keystore><acme><domains>a.test</domains></acme>":                                   "remove it, or <keystore>",
		"<privateKey>k</privateKey><certificates>c</certificates><acme><domains>a.test</domains></acme>": "remove it, or <keystore>",
	} {
		_, problems := readSMTP(`<tls startTLS="true">` + elements + `</tls><handlerchain/>`)
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %q", elements, problems, want)
		}
	}
}
