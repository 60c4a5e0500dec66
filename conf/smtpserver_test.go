package conf

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// readSMTP reads one server with the given elements.
func readSMTP(elements string) ([]SMTPServer, []Problem) {
	r := &Report{}
	f := ParseXML("smtpserver.xml", []byte("<smtpservers><smtpserver>"+elements+"</smtpserver></smtpservers>"), r)
	return SMTPServers(f, r), r.Problems()
}

func TestSMTPServerDefaults(t *testing.T) {
	got, problems := readSMTP("<handlerchain/>")
	if len(problems) > 0 || len(got) != 1 {
		t.Fatalf("got %v, problems %v", got, problems)
	}
	want := SMTPServer{
		Pos: Pos{"smtpserver.xml", 1, 14}, Name: "smtpserver", Bind: []string{"0.0.0.0:25"},
		IdleTimeout: 300 * time.Second, ProxyFirst: true, AuthorizedAddresses: List{Pos: Pos{"smtpserver.xml", 1, 14}, Words: []string{}},
		VerifyIdentity: VerifyStrict, MaxLineLength: 8192, RequireHelo: true, RequireBrackets: true, GracefulShutdown: true,
		Auth:   SMTPAuth{Announce: AnnounceNever, Mechanisms: []string{"LOGIN", "PLAIN", "SCRAM-SHA-256"}, Failures: defaultFailures},
		Limits: SMTPLimits{Errors: 100, CommandTime: time.Hour, DataRate: 100},
		Chain:  HandlerChain{Pos: Pos{"smtpserver.xml", 1, 26}, Core: DefaultSMTPCore, JMX: DefaultSMTPJMX},
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

func TestSMTPServerSaysWhatItIgnores(t *testing.T) {
	got, problems := readSMTP("<bind>127.0.0.1:1</bind>\n<bind>127.0.0.1:2</bind><disabledFeatures>A</disabledFeatures>" +
		"<disabledFeatures>B</disabledFeatures><auth><required>true</required><required>false</required></auth><handlerchain/>")
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.String())
	}
	want := []string{
		"smtpserver.xml:2:1: warning: <bind> is there already at smtpserver.xml:1:26; this one is ignored",
		"smtpserver.xml:2:132: warning: <required> is there already at smtpserver.xml:2:107; this one is ignored",
	}
	if !reflect.DeepEqual(texts, want) || len(got) != 1 || len(got[0].Bind) != 1 || !got[0].Auth.Required {
		t.Errorf("got  %q\nwant %q", texts, want)
	}
}

func TestSMTPServerValues(t *testing.T) {
	got, problems := readSMTP(`
		<bind>127.0.0.1:2525, 0.0.0.0:25,[::1]:0</bind><jmxName>in</jmxName>
		<helloName autodetect="false">mx.here.test</helloName><connectiontimeout>360</connectiontimeout>
		<connectionLimit> 7 </connectionLimit><connectionLimitPerIP>x</connectionLimitPerIP>
		<proxyRequired>true</proxyRequired><proxyFirst>no</proxyFirst>
		<authorizedAddresses>127.0.0.0/8, 10.*
			host.test</authorizedAddresses>
		<verifyIdentity>relaxed</verifyIdentity><maxmessagesize>10</maxmessagesize><maxLineLength>1000</maxLineLength>
		<heloEhloEnforcement>false</heloEhloEnforcement><addressBracketsEnforcement>false</addressBracketsEnforcement>
		<smtpGreeting>hi</smtpGreeting><disabledFeatures>PIPELINING</disabledFeatures><disabledFeatures>8BITMIME</disabledFeatures>
		<gracefulShutdown>false</gracefulShutdown><useEpoll>true</useEpoll>
		<tls startTLS="true"><privateKey>k</privateKey><certificates>c</certificates><secret>s</secret>
			<supportedProtocols><protocol>TLSv1.3</protocol><protocol>TLSv1.2</protocol></supportedProtocols>
			<clientAuth><truststore>ts</truststore></clientAuth></tls>
		<auth><announce>FORUNAUTHORIZEDADDRESSES</announce><requireSSL>true</requireSSL><required>true</required>
			<saslMechanisms>org.apache.james.PlainSaslMechanismFactory, LoginSaslMechanismFactory,PlainSaslMechanismFactory</saslMechanisms></auth>
		<handlerchain coreHandlersPackage="a.B" enableJmx="false"><handler class="c.D" command="x"><p>1</p></handler></handlerchain>`)
	if len(problems) != 1 || problems[0].Severity != Warning || !strings.Contains(problems[0].Text, "connectionLimitPerIP") {
		t.Errorf("problems %v", problems)
	}
	s := got[0]
	for _, tc := range []struct{ got, want any }{
		{s.Bind, []string{"127.0.0.1:2525", "0.0.0.0:25", "[::1]:0"}}, {s.Name, "in"}, {s.Hello, "mx.here.test"},
		{s.IdleTimeout, 6 * time.Minute}, {s.MaxConnections, 7}, {s.MaxConnectionsPerIP, 0}, {s.ProxyRequired, true}, {s.ProxyFirst, false},
		{s.AuthorizedAddresses.Words, []string{"127.0.0.0/8", "10.*", "host.test"}}, {s.VerifyIdentity, VerifyRelaxed},
		{s.MaxMessageSize, int64(10240)}, {s.MaxLineLength, 1000}, {s.RequireHelo, false}, {s.RequireBrackets, false},
		{s.Greeting, "hi"}, {s.DisabledFeatures, []string{"PIPELINING", "8BITMIME"}}, {s.GracefulShutdown, false},
		{s.Auth, SMTPAuth{Announce: AnnounceForUnauthorized, RequireSSL: true, Required: true, Mechanisms: []string{"PLAIN", "LOGIN"}, Failures: defaultFailures}},
		{s.TLS.StartTLS, true}, {s.TLS.MinVersion, uint16(0x303)}, {s.TLS.MaxVersion, uint16(0x304)}, {s.TLS.Truststore, "ts"}, {s.TLS.ClientAuth, true},
		{s.Chain.Core, "a.B"}, {s.Chain.JMX, ""}, {s.Chain.Handlers[0].Class(), "c.D"}, {s.Chain.Handlers[0].String("p", ""), "1"},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("got %#v, want %#v", tc.got, tc.want)
		}
	}
}

func TestSMTPServerSizes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "5": 5120, "5b": 5, "5K": 5120, "5m": 5 << 20, "1G": 1 << 30, "UNLIMITED": 0} {
		got, problems := readSMTP("<handlerchain/><maxmessagesize>" + text + "</maxmessagesize>")
		if len(problems) > 0 || got[0].MaxMessageSize != want {
			t.Errorf("%s: got %d, want %d, problems %v", text, got[0].MaxMessageSize, want, problems)
		}
	}
}

func TestSMTPServerAuthRequired(t *testing.T) {
	for xml, want := range map[string]string{
		"<authRequired>true</authRequired>":                                                  AnnounceForUnauthorized,
		"<authRequired>announce</authRequired>":                                              AnnounceAlways,
		"<authRequired>false</authRequired>":                                                 AnnounceNever,
		"<authRequired>true</authRequired><auth><announce>never</announce></auth>":           AnnounceNever,
		"<authRequired>true</authRequired><auth><requireSSL>true</requireSSL></auth>":        AnnounceForUnauthorized,
		"<auth><announce>always</announce><plainAuthEnabled>false</plainAuthEnabled></auth>": AnnounceAlways,
	} {
		got, problems := readSMTP("<handlerchain/>" + xml)
		if len(problems) > 0 || got[0].Auth.Announce != want {
			t.Errorf("%s: got %s, want %s, problems %v", xml, got[0].Auth.Announce, want, problems)
		}
	}
}

// TestSMTPServerProblems: each mistake has one text, at the line of the mistake.
func TestSMTPServerProblems(t *testing.T) {
	for _, tc := range []struct{ xml, want string }{
		{"<bind>25</bind>", `error: Malformed bind parameter in configuration of service SMTP Service: "25"; want`},
		{"<bind>127.0.0.1:smtp</bind>", `error: Malformed bind parameter in configuration of service SMTP Service: "127.0.0.1:smtp"; want`},
		{"<bind>127.0.0.1:70000</bind>", `error: Malformed bind`},
		{`<helloName autodetect="false"/>`, "error: Please configure the helloName or use autodetect"},
		{`<helloName autodetect="false">a b</helloName>`, "error: <helloName> is"},
		{`<helloName autodetect="maybe">a</helloName>`, `error: autodetect= of <helloName> is "maybe", not true or false`},
		{"<connectionLimit>-1</connectionLimit>", "error: Connection limit value cannot be less than zero."},
		{"<connectionLimit>many</connectionLimit>", "warning: <connectionLimit> is \"many\", not a whole number; no limit applies"},
		{"<connectiontimeout>5m</connectiontimeout>", `error: <connectiontimeout> is "5m", not a whole number`},
		{"<connectiontimeout>-5</connectiontimeout>", `error: <connectiontimeout> must not be negative`},
		{"<verifyIdentity>perhaps</verifyIdentity>", "error: SenderVerificationMode: unsupported value 'perhaps'"},
		{"<maxmessagesize>big</maxmessagesize>", `error: <maxmessagesize>: "big" is not a size`},
		{"<maxLineLength>999</maxLineLength>", "error: maxLineLength must be between 1000 and 1048576"},
		{"<maxLineLength>1048577</maxLineLength>", "error: maxLineLength must be between 1000 and 1048576"},
		{"<proxyRequired>${env:PROXY}</proxyRequired>", `error: <proxyRequired> is "${env:PROXY}", not true or false`},
		{"<heloName>x</heloName>", `warning: <heloName> is not an element of <smtpserver>; ignored (did you mean "helloName"?)`},
		{`<tls socketTLS="true" startTLS="true"><privateKey>k</privateKey><certificates>c</certificates></tls>`, "error: startTLS is only supported when using plain sockets"},
		{`<tls startTLS="true"/>`, "error: keystore or (privateKey and certificates) needs to get configured"},
		{`<tls startTLS="true"><privateKey>k</privateKey><certificates>c</certificates><clientAuth/></tls>`, "error: <clientAuth> needs a <truststore>"},
		{`<tls startTLS="true"><privateKey>k</privateKey><certificates>c</certificates><enableOCSPCRLChecks>true</enableOCSPCRLChecks></tls>`, "error: <enableOCSPCRLChecks>"},
		{"<auth><announce>maybe</announce></auth>", "error: Unknown value for 'auth.announce': maybe. Should be one of always, never, forUnauthorizedAddresses"},
		{"<auth><saslMechanisms/></auth>", "error: <saslMechanisms> has a blank entry"},
		{"<auth><saslMechanisms>FooFactory</saslMechanisms></auth>", "error: <saslMechanisms> names the unknown class FooFactory"},
		{"<auth><saslMechanisms>PlainSaslMechanismFactory,XOauth2SaslMechanismFactory</saslMechanisms></auth>", "warning: <saslMechanisms>: XOauth2SaslMechanismFactory needs <oidc>"},
		{"<auth><saslMechanisms>org.apache.james.protocols.sasl.kerberos.GssapiSaslMechanismFactory</saslMechanisms></auth>",
			"error: <saslMechanisms>: org.apache.james.protocols.sasl.kerberos.GssapiSaslMechanismFactory is a James class not available here: tickets of Kerberos"},
		{"<auth><saslMechanisms>PlainSaslMechanismFactory, GssapiSaslMechanismFactory</saslMechanisms></auth>", "warning: <saslMechanisms>: GssapiSaslMechanismFactory is a James class not available here"},
		{"<auth><gssapi/></auth>", "warning: <gssapi>: GSSAPI is not available here"},
	} {
		_, problems := readSMTP("\n" + tc.xml + "\n<handlerchain/>")
		if len(problems) != 1 || problems[0].Pos.Line != 2 || !strings.HasPrefix(fmt.Sprintf("%s: %s", problems[0].Severity, problems[0].Text), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.xml, problems, tc.want)
		}
	}
	for xml, want := range map[string]string{
		"": "<handlerchain> is required",
		`<handlerchain><handler name="x"/></handlerchain>`: "Missing @class attribute in configuration",
	} {
		if _, problems := readSMTP(xml); len(problems) != 1 || !strings.Contains(problems[0].Text, want) {
			t.Errorf("%s: got %v, want %s", xml, problems, want)
		}
	}
}

func TestSMTPServerSwitchedOff(t *testing.T) {
	for _, xml := range []string{
		`<smtpservers/>`, ``, `<smtpservers><smtpserver enabled="false"><bind>rubbish</bind></smtpserver></smtpservers>`,
	} {
		r := &Report{}
		var f *File
		if xml != "" {
			f = ParseXML("smtpserver.xml", []byte(xml), r)
		}
		if got := SMTPServers(f, r); len(got) > 0 || len(r.Problems()) > 0 {
			t.Errorf("%s: got %v, problems %v", xml, got, r.Problems())
		}
	}
	got, problems := readSMTP(`<handlerchain/><tls socketTLS="false" startTLS="false"><keystore>nowhere</keystore><provider>x</provider></tls>`)
	if len(problems) > 0 || got[0].TLS != nil {
		t.Errorf("TLS switched off: got %+v, problems %v", got[0].TLS, problems)
	}
}
