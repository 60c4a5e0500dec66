package conf

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func readLMTP(elements string) ([]SMTPServer, []Problem) {
	r := &Report{}
	f := ParseXML("lmtpserver.xml", []byte("<lmtpservers><lmtpserver>"+elements+"</lmtpserver></lmtpservers>"), r)
	return LMTPServers(f, r), r.Problems()
}

func TestLMTPServerDefaults(t *testing.T) {
	got, problems := readLMTP("<handlerchain/>")
	if len(problems) > 0 || len(got) != 1 {
		t.Fatalf("got %v, problems %v", got, problems)
	}
	want := SMTPServer{
		LMTP: true, Pos: Pos{"lmtpserver.xml", 1, 14}, Name: "lmtpserver", Bind: []string{"0.0.0.0:24"},
		IdleTimeout: 300 * time.Second, ProxyFirst: true, VerifyIdentity: VerifyDisabled, MaxLineLength: 8192, GracefulShutdown: true,
		Auth:   SMTPAuth{Announce: AnnounceNever},
		Limits: SMTPLimits{Errors: 100, CommandTime: time.Hour, DataRate: 100},
		Chain:  HandlerChain{Pos: Pos{"lmtpserver.xml", 1, 26}, Core: DefaultLMTPCore, JMX: DefaultLMTPJMX},
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

func TestLMTPServerValues(t *testing.T) {
	got, problems := readLMTP(`<bind>127.0.0.1:0,unix:/run//mailetd/lmtp, [::1]:24</bind><jmxName>in</jmxName>
		<helloName autodetect="false">mx.here.test</helloName><connectionBacklog>200</connectionBacklog><connectiontimeout>1200</connectiontimeout>
		<connectionLimit>7</connectionLimit><connectionLimitPerIP>3</connectionLimitPerIP><maxmessagesize>10</maxmessagesize>
		<lmtpGreeting>hi</lmtpGreeting><proxyRequired>true</proxyRequired><gracefulShutdown>false</gracefulShutdown>
		<tls socketTLS="false" startTLS="true"><privateKey>k</privateKey><certificates>c</certificates></tls>
		<handlerchain coreHandlersPackage="a.B" enableJmx="false"><handler class="c.D"/></handlerchain>`)
	if len(problems) > 0 {
		t.Fatalf("problems %v", problems)
	}
	s := got[0]
	for _, tc := range []struct{ got, want any }{
		{s.Bind, []string{"127.0.0.1:0", "unix:/run/mailetd/lmtp", "[::1]:24"}}, {s.Name, "in"}, {s.Hello, "mx.here.test"},
		{s.IdleTimeout, 20 * time.Minute}, {s.MaxConnections, 7}, {s.MaxConnectionsPerIP, 3}, {s.MaxMessageSize, int64(10240)},
		{s.Greeting, "hi"}, {s.ProxyRequired, true}, {s.GracefulShutdown, false}, {s.TLS.StartTLS, true},
		{s.Chain.Core, "a.B"}, {s.Chain.JMX, ""}, {len(s.Chain.Handlers), 1},
	} {
		if !reflect.DeepEqual(tc.got, tc.want) {
			t.Errorf("got %v, want %v", tc.got, tc.want)
		}
	}
}

func TestLMTPServerProblems(t *testing.T) {
	for elements, want := range map[string]string{
		"": "error: <handlerchain> is required",
		"<bind>unix:/run/" + strings.Repeat("x", 103) + "</bind><handlerchain/>": "the path of a socket has at most 107 octets",
		"<bind>127.0.0.1:25</bind><handlerchain/>":                               "warning: <bind> 127.0.0.1:25: LMTP must not be offered on port 25",
		"<bind>127.0.0.1</bind><handlerchain/>":                                  "error: Malformed bind parameter in configuration of service LMTP Service",
		"<bind>unix:lmtp</bind><handlerchain/>":                                  "want unix: and the full path of a socket",
		"<bind>unix:</bind><handlerchain/>":                                      "want unix: and the full path of a socket",
		"<connectiontimeout>-1</connectiontimeout><handlerchain/>":               "error: <connectiontimeout> must not be negative",
		"<authorizedAddresses>*</authorizedAddresses><handlerchain/>":            "warning: <authorizedAddresses> is not an element of <lmtpserver>; ignored",
		"<auth/><handlerchain/>":                                                 "warning: <auth> is not an element of <lmtpserver>; ignored",
		"<maxmessagesize>many</maxmessagesize><handlerchain/>":                   "error: <maxmessagesize>",
		`<tls socketTLS="true" startTLS="true"><privateKey>k</privateKey><certificates>c</certificates></tls><handlerchain/>`: "startTLS is only supported when using plain sockets",
		`<handlerchain><handler/></handlerchain>`:                        "Missing @class attribute",
		`<helloName autodetect="false"></helloName><handlerchain/>`:      "Please configure the helloName or use autodetect",
		`<connectionLimitPerIP>-1</connectionLimitPerIP><handlerchain/>`: "value cannot be less than zero.",
	} {
		_, problems := readLMTP(elements)
		if len(problems) == 0 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %q", elements, problems, want)
		}
	}
}

func TestLMTPServersLeftOut(t *testing.T) {
	for text, want := range map[string]int{
		`<lmtpservers/>`: 0, `<lmtpservers><lmtpserver enabled="false"/></lmtpservers>`: 0,
		`<lmtpserver><handlerchain/></lmtpserver>`: 1,
	} {
		r := &Report{}
		if got := LMTPServers(ParseXML("lmtpserver.xml", []byte(text), r), r); len(got) != want || len(r.Problems()) > 0 {
			t.Errorf("%s: %d servers, problems %v; want %d", text, len(got), r.Problems(), want)
		}
	}
	if got := LMTPServers(nil, &Report{}); got != nil {
		t.Errorf("no file gives %v", got)
	}
}
