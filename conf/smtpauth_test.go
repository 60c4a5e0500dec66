package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var defaultFailures = AuthFailures{PerAddress: 10, PerUser: 5, Window: 10 * time.Minute, Block: time.Minute, MaxBlock: time.Hour}

const oidcXML = `<oidc><oidcConfigurationURL>https://sso.test/realms/a/.well-known/openid-configuration</oidcConfigurationURL>
	<jwksURL>https://sso.test:8080/certs</jwksURL><claim>email</claim><scope>openid profile</scope><aud>mail</aud>%s</oidc>`

func TestMechanisms(t *testing.T) {
	oidc := fmt.Sprintf(oidcXML, "")
	for _, tc := range []struct {
		xml, want string
		named     bool
	}{
		{"", "LOGIN PLAIN SCRAM-SHA-256", false},
		{"<auth/>", "LOGIN PLAIN SCRAM-SHA-256", false},
		{"<auth><plainAuthEnabled>false</plainAuthEnabled></auth>", "SCRAM-SHA-256", false},
		{"<auth>" + oidc + "</auth>", "LOGIN PLAIN OAUTHBEARER XOAUTH2 SCRAM-SHA-256", false},
		{"<auth><plainAuthEnabled>false</plainAuthEnabled>" + oidc + "</auth>", "OAUTHBEARER XOAUTH2 SCRAM-SHA-256", false},
		{"<auth><saslMechanisms>ScramSha256SaslMechanismFactory,org.apache.james.protocols.sasl.XOauth2SaslMechanismFactory, PlainSaslMechanismFactory</saslMechanisms>" + oidc + "</auth>",
			"SCRAM-SHA-256 XOAUTH2 PLAIN", true},
		{"<auth><saslMechanisms>PlainSaslMechanismFactory</saslMechanisms><plainAuthEnabled>false</plainAuthEnabled></auth>", "", false},
	} {
		got, problems := readSMTP("<handlerchain/>" + tc.xml)
		if len(problems) > 0 || strings.Join(got[0].Auth.Mechanisms, " ") != tc.want || got[0].Auth.SCRAMNamed != tc.named {
			t.Errorf("%s: got %+v, want %s, problems %v", tc.xml, got[0].Auth, tc.want, problems)
		}
	}
}

func TestOIDC(t *testing.T) {
	base := OIDC{ConfigurationURL: "https://sso.test/realms/a/.well-known/openid-configuration", Issuer: "https://sso.test/realms/a",
		JWKSURL: "https://sso.test:8080/certs", Claim: "email", Scope: "openid profile", Audience: "mail"}
	with := func(change func(*OIDC)) OIDC { o := base; change(&o); return o }
	for _, tc := range []struct {
		more string
		want OIDC
	}{
		{"", base},
		{"<issuer>https://other.test/</issuer>", with(func(o *OIDC) { o.Issuer = "https://other.test" })},
		{"<introspection><url>https://sso.test/introspect</url><auth>Basic eDp5</auth></introspection>",
			with(func(o *OIDC) { o.IntrospectionURL, o.IntrospectionAuth = "https://sso.test/introspect", "Basic eDp5" })},
		{"<userinfo><url>https://sso.test/userinfo</url></userinfo>", with(func(o *OIDC) { o.UserinfoURL = "https://sso.test/userinfo" })},
	} {
		got, problems := readSMTP("<handlerchain/><auth>" + fmt.Sprintf(oidcXML, tc.more) + "</auth>")
		if len(problems) > 0 || got[0].Auth.OIDC == nil || *got[0].Auth.OIDC != tc.want {
			t.Errorf("%s: got %+v, want %+v, problems %v", tc.more, got[0].Auth.OIDC, tc.want, problems)
		}
	}
}

func TestAuthProblems(t *testing.T) {
	url := "<oidcConfigurationURL>https://a.test/c</oidcConfigurationURL>"
	rest := "<jwksURL>https://a.test/k</jwksURL><claim>sub</claim><scope>openid</scope>"
	for _, tc := range []struct{ xml, want string }{
		{"<oidc>" + url + rest + "</oidc>", "error: 'aud' is mandatory for secure set up"},
		{"<oidc>" + rest + "<aud>x</aud></oidc>", "error: `oidcConfigurationURL` property need to be specified inside the oidc tag"},
		{"<oidc>" + url + "<jwksURL>ftp://a/b</jwksURL><claim>sub</claim><scope>openid</scope><aud>x</aud></oidc>", `error: <jwksURL> is "ftp://a/b"; want a URL`},
		{"<oidc>" + url + "<jwksURL>http://sso.test/b</jwksURL><claim>sub</claim><scope>openid</scope><aud>x</aud></oidc>", "warning: <jwksURL> is not https: whoever can change"},
		{"<oidc>" + url + rest + "<aud>x</aud><userinfo><url>http://sso.test/u</url></userinfo></oidc>", "warning: <url> is not https: whoever can change"},
		{"<oidc>" + url + rest + "<aud>x</aud><introspection/></oidc>", "error: `url` property need to be specified inside the introspection tag"},
		{"<oidc>" + url + rest + "<aud>x</aud><introspection><url>https://a.test/i</url></introspection><userinfo><url>https://a.test/u</url></userinfo></oidc>", "warning: <userinfo> is not asked"},
		{"<oidc>" + url + rest + "<aud>x</aud><audience/></oidc>", "warning: <audience> is not an element of <oidc>"},
		{"<failures><perAddress>-1</perAddress></failures>", "error: <perAddress> is -1; want at least 0"},
		{"<failures><window>0</window></failures>", "error: <window> is 0s; want at least 1 second"},
		{"<failures><maxBlock>10 seconds</maxBlock></failures>", "error: <maxBlock> is shorter than <block>"},
		{"<failures><perHost>1</perHost></failures>", "warning: <perHost> is not an element of <failures>"},
	} {
		_, problems := readSMTP("\n<auth>" + tc.xml + "</auth>\n<handlerchain/>")
		if len(problems) != 1 || problems[0].Pos.Line != 2 || !strings.HasPrefix(fmt.Sprintf("%s: %s", problems[0].Severity, problems[0].Text), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.xml, problems, tc.want)
		}
	}
}

// TestOIDCOnThisMachine: what does not leave the machine needs no encryption.
func TestOIDCOnThisMachine(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.1.2.3", "[::1]:80"} {
		_, problems := readSMTP("<handlerchain/><auth>" + strings.Replace(fmt.Sprintf(oidcXML, ""), "https://sso.test:8080", "http://"+host, 1) + "</auth>")
		if len(problems) > 0 {
			t.Errorf("%s: %v", host, problems)
		}
	}
}

func TestFailures(t *testing.T) {
	got, problems := readSMTP("<handlerchain/><auth><failures><perAddress>0</perAddress><perUser>3</perUser><window>1 hour</window><block>5</block><maxBlock>1 day</maxBlock></failures></auth>")
	want := AuthFailures{PerUser: 3, Window: time.Hour, Block: 5 * time.Second, MaxBlock: 24 * time.Hour}
	if len(problems) > 0 || !reflect.DeepEqual(got[0].Auth.Failures, want) {
		t.Errorf("got %+v, want %+v, problems %v", got[0].Auth.Failures, want, problems)
	}
}

// TestAudienceFlag: James takes tokens for any service when a flag says so.
func TestAudienceFlag(t *testing.T) {
	dir := t.TempDir()
	xml := `<smtpservers><smtpserver enabled="true"><handlerchain/><auth>` + strings.Replace(fmt.Sprintf(oidcXML, ""), "<aud>mail</aud>", "", 1) + `</auth></smtpserver></smtpservers>`
	for name, text := range map[string]string{"smtpserver.xml": xml, "jvm.properties": "james.sasl.oidc.validate.aud=false\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &Report{}
	got := SMTPServers(Open(dir, Options{}, r).XML("smtpserver.xml"), r)
	if r.HasErrors() || len(got) != 1 || got[0].Auth.OIDC == nil || got[0].Auth.OIDC.Audience != "" || len(r.Problems()) != 1 {
		t.Errorf("got %+v, problems %v", got, r.Problems())
	}
}

func TestSCRAMAlgorithm(t *testing.T) {
	for algorithm, want := range map[string]struct {
		iterations int
		problem    string
	}{
		"SCRAM-SHA-256": {}, "scram-sha-256-100000": {iterations: 100000}, "SCRAM-SHA-256-4096": {iterations: 4096},
		"SCRAM-SHA-256-4095":    {problem: "want a number from 4096 to 2000000"},
		"SCRAM-SHA-256-2000001": {problem: "want a number from 4096 to 2000000"},
	} {
		dir := t.TempDir()
		xml := "<usersrepository><algorithm>" + algorithm + "</algorithm></usersrepository>"
		if err := os.WriteFile(filepath.Join(dir, "usersrepository.xml"), []byte(xml), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &Report{}
		u := Open(dir, Options{}, r).UsersRepository()
		if u.HashIterations != want.iterations || (len(r.Problems()) > 0) != (want.problem != "") || want.problem != "" && !strings.Contains(r.Problems()[0].Text, want.problem) {
			t.Errorf("%s: got %d, problems %v", algorithm, u.HashIterations, r.Problems())
		}
	}
}
