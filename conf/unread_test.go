package conf

import (
	"strings"
	"testing"
)

// Whoever writes a setting as an attribute that is an element must not believe
// that it counts.
func TestAttributesThatNothingReads(t *testing.T) {
	for config, want := range map[string]string{
		`<auth requireSSL="true"/>`:                 `requireSSL= of <auth> is read by nothing; write it as an element: <requireSSL>true</requireSSL>`,
		`<auth><failures perUsers="3"/></auth>`:     `perUsers= is not an attribute of <failures>; ignored`,
		`<limits errors="4"/>`:                      `errors= of <limits> is read by nothing; write it as an element: <errors>4</errors>`,
		`<tls socketTLS="false" startTSL="false"/>`: "", // with both switches off nothing is looked at
		`<tls startTLS="true" startTSL="true"><privateKey>a</privateKey><certificates>b</certificates></tls>`: `startTSL= is not an attribute of <tls>; ignored (did you mean "startTLS"?)`,
	} {
		_, problems := readSMTP(config + "<handlerchain/>")
		var got []string
		for _, p := range problems {
			got = append(got, p.Text)
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s: got %q, want %q", config, got, want)
		}
	}
	_, problems := readSMTP(`<handlerchain coreHandlerPackage="x"/>`)
	if len(problems) != 1 || !strings.Contains(problems[0].Text, `did you mean "coreHandlersPackage"?`) {
		t.Errorf("handlerchain: got %v", problems)
	}
}

func TestServersOfAnotherFile(t *testing.T) {
	var r Report
	f := ParseXML("lmtpserver.xml", []byte("<lmtpservers><smtpserver><handlerchain/></smtpserver></lmtpservers>"), &r)
	LMTPServers(f, &r)
	if p := r.Problems(); len(p) != 1 || p[0].Text != "<smtpserver> is not an element of <lmtpservers>; ignored: want <lmtpserver>" {
		t.Errorf("got %v", p)
	}
}
