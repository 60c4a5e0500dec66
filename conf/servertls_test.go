package conf

import (
	"slices"
	"strings"
	"testing"
)

func TestKeystoreElements(t *testing.T) {
	got, problems := readSMTP(`<handlerchain/>
<tls socketTLS="true"><keystore>file://conf/keystore</keystore><keystoreType>PKCS12</keystoreType><secret>s</secret>
<provider>x</provider>
<clientAuth><truststoreType>JKS</truststoreType><truststore>file:///t</truststore><truststoreSecret>ts</truststoreSecret></clientAuth></tls>`)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := got[0].TLS
	for _, tc := range []struct{ got, want any }{
		{c.Keystore, "file://conf/keystore"}, {c.Secret, "s"}, {c.KeystorePos.Line, 2}, {c.PrivateKey + c.Certificates, ""},
		{c.ClientAuth, true}, {c.Truststore, "file:///t"}, {c.TruststoreSecret, "ts"}, {c.TruststorePos.Line, 4},
	} {
		if tc.got != tc.want {
			t.Errorf("got %v, want %v", tc.got, tc.want)
		}
	}
}

func TestKeystoreProblems(t *testing.T) {
	for _, tc := range []struct {
		xml  string
		want []string
	}{
		{`<keystore>k</keystore>`, nil},
		{`<keystore>k</keystore><keystoreType>pkcs12</keystoreType>`, nil},
		{"<keystore>k</keystore>\n<keystoreType>JCEKS</keystoreType>", []string{`:3:1: error: <keystoreType>: "JCEKS" is not JKS or PKCS12`}},
		{"<keystore>k</keystore><clientAuth>\n<truststore>t</truststore>\n<truststoreType>BKS</truststoreType></clientAuth>",
			[]string{`:4:1: error: <truststoreType>: "BKS" is not JKS or PKCS12`}},
		{"<privateKey>p</privateKey><certificates>c</certificates>\n<keystore>k</keystore>", []string{":3:1: warning: <keystore> is used, and <privateKey> and <certificates> are ignored"}},
		{"<privateKey>p</privateKey>\n<keystore>k</keystore>", []string{":3:1: warning: <keystore> is used"}},
		{`<privateKey>p</privateKey>`, []string{":2:1: error: keystore or (privateKey and certificates) needs to get configured"}},
		{`<keystore/><secret>s</secret>`, []string{":2:1: error: keystore or (privateKey and certificates) needs to get configured"}},
	} {
		got, problems := readSMTP("<handlerchain/>\n<tls startTLS=\"true\">" + tc.xml + "</tls>")
		if !slices.EqualFunc(problems, tc.want, func(p Problem, want string) bool { return strings.Contains(p.String(), want) }) {
			t.Errorf("%s:\ngot  %v\nwant %v", tc.xml, problems, tc.want)
		}
		if c := got[0].TLS; c.Keystore != "" && c.PrivateKey+c.Certificates != "" {
			t.Errorf("%s: both are left", tc.xml)
		}
	}
}
