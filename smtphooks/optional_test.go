package smtphooks

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// problems loads a handler and returns what is wrong with it.
func problems(t *testing.T, xml string) string {
	t.Helper()
	r := &conf.Report{}
	p := conf.ParseParams(xml, r)
	f, ok := NewRegistry().classes[p.Class()]
	if !ok {
		t.Fatalf("no class %s", p.Class())
	}
	f(p, Services{Log: slog.New(slog.DiscardHandler)})
	p.Close()
	var out []string
	for _, problem := range r.Problems() {
		out = append(out, problem.Severity.String()+": "+problem.Text)
	}
	return strings.Join(out, "\n")
}

func TestOptionalHandlerProblems(t *testing.T) {
	element := func(class, params string) string {
		return `<handler class="` + james + class + `">` + params + `</handler>`
	}
	for _, tc := range []struct{ class, params, want string }{
		{"SetMailAttributeMessageHook", "<value>x</value>", "error: <name> is required by"},
		{"SetMailAttributeMessageHook", "<name>x</name>", "error: <value>: a value is required"},
		{"SetMailAttributeMessageHook", "<name>x</name><value/>", ""},
		{"SetMimeHeaderHandler", "<headername>a b</headername><headervalue>x</headervalue>", `error: <headername>: "a b" is not the name of a header field`},
		{"MailPriorityHandler", "<priorityEntries><priorityEntry><domain>a.test</domain><priority>10</priority></priorityEntry></priorityEntries>",
			"error: <priorityEntries.priorityEntry.priority>: configured priority must be >= -9 and <= 9"},
		{"MailPriorityHandler", "<priorityEntries><priorityEntry><domain>a.test</domain></priorityEntry></priorityEntries>", ""},
		{"MailPriorityHandler", "<priorityEntries><priorityEntry><priority>x</priority></priorityEntry></priorityEntries>", "error: <priorityEntries.priorityEntry.domain>"},
		{"MailPriorityHandler", "<priorities/>", "warning: <priorities> is not a parameter of"},
		{"EnforceHeaderLimitationsMessageHook", "<maxLines>many</maxLines>", `error: <maxLines> is "many"`},
		{"fastfail.MaxRcptHandler", "", "warning: MaxRcptHandler without a maxRcpt above 0 limits nothing"},
		{"netty.MaxConnectionLifespanHandler", "", "error: <duration> is required by"},
		{"netty.MaxConnectionLifespanHandler", "<duration>0</duration>", "error: <duration>: want a time above 0"},
		{"fastfail.AllowedUnauthenticatedSender", "", "AllowedUnauthenticatedSender requires at least one <allowedSender> entry"},
		{"fastfail.AllowedUnauthenticatedSender", "<allowedSenders><allowedSender>x</allowedSender></allowedSenders>", "invalid email address in allowedSender: x"},
		{"fastfail.AllowedUnauthenticatedSender", `<allowedSenders><allowedSender fromIps="10.0.0.0/99">a@b.test</allowedSender></allowedSenders>`, `fromIps: "10.0.0.0/99"`},
		{"ConfigurationAuthHook", "<accounts><account><username>a</username></account></accounts>", "warning: an <account> without <username> or <password>"},
		{"ConfigurationAuthHook", "<accounts><account><username>a</username><passwords><password/></passwords></account></accounts>", "a password must not be empty"},
		{"fastfail.SpamTrapHandler", "", "error: <spamTrapRecip> is required by"},
		{"fastfail.SpamTrapHandler", "<spamTrapRecip>a@b.test, c</spamTrapRecip>", "error: <spamTrapRecip>: want addresses"},
		{"fastfail.JDBCGreylistHandler", "<sqlFile>file://conf/sqlResources.xml</sqlFile>", "warning: <sqlFile> has no effect"},
		{"fastfail.JDBCGreylistHandler", "<tempBlockTime>4 hours</tempBlockTime>", "error: <unseenLifeTime>: want more than tempBlockTime"},
		{"fastfail.JDBCGreylistHandler", "<autoWhiteListLifeTime>0</autoWhiteListLifeTime>", "error: <autoWhiteListLifeTime>: want more than 0"},
		{"fastfail.JDBCGreylistHandler", "<whitelistedNetworks>10.0.0.0/99</whitelistedNetworks>", `error: <whitelistedNetworks>: "10.0.0.0/99"`},
		{"fastfail.JDBCGreylistHandler", "<ipv4Prefix>33</ipv4Prefix>", "error: <ipv4Prefix>: want a number of bits from 1 to 32, not 33"},
		{"fastfail.JDBCGreylistHandler", "<onFailure>refuse</onFailure>", `error: <onFailure>: want accept or defer, not "refuse"`},
		{"fastfail.DNSRBLHandler", "", "please configure whitelist or blacklist"},
		{"fastfail.DNSRBLHandler", "<rblservers><blacklist>a b</blacklist></rblservers>", "error: <rblservers.blacklist>: want the zone of a list"},
		{"fastfail.ValidRcptMX", "", "error: <invalidMXNetworks> is required by"},
		{"fastfail.ValidRcptMX", "<invalidMXNetworks>10.0.0.0/99</invalidMXNetworks>", `error: <invalidMXNetworks>: "10.0.0.0/99"`},
	} {
		got := problems(t, element(tc.class, tc.params))
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s with %s: got %q, want %q", tc.class, tc.params, got, tc.want)
		}
	}
}

// TestSpamTrapForgets: the time ends, each client counts for itself, and memory is
// bounded.
func TestSpamTrapForgets(t *testing.T) {
	h := newSpamTrap(conf.ParseParams("<handler><spamTrapRecip>trap@here.test</spamTrapRecip><blockTime>1000</blockTime></handler>", &conf.Report{}), Services{}).(*SpamTrapHandler)
	clock := time.Unix(1000, 0)
	h.now = func() time.Time { return clock }
	rcpt := func(ip, to string) Action {
		s := NewSession("x", netip.MustParseAddr(ip), nil)
		return h.Rcpt(context.Background(), s, Recipient{Address: container.MustAddress(to)}).Action
	}
	for _, step := range []struct {
		ip, to string
		after  time.Duration
		want   Action
	}{
		{"192.0.2.1", "bob@here.test", 0, Declined}, {"192.0.2.1", "TRAP@here.test", 0, Deny}, {"192.0.2.1", "bob@here.test", 999 * time.Millisecond, Deny},
		{"192.0.2.2", "bob@here.test", 0, Declined}, {"192.0.2.1", "bob@here.test", time.Millisecond, Declined},
		{"2001:db8::1", "trap@here.test", 0, Deny}, {"2001:db8::2", "bob@here.test", 0, Deny}, {"2001:db8:0:1::1", "bob@here.test", 0, Declined},
	} {
		clock = clock.Add(step.after)
		if got := rcpt(step.ip, step.to); got != step.want {
			t.Errorf("%s to %s: got %v, want %v", step.ip, step.to, got, step.want)
		}
	}
	for i := range maxCaught + 1000 {
		rcpt(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "trap@here.test")
	}
	if n := len(h.caught); n > maxCaught {
		t.Errorf("%d clients remembered", n)
	}
	clock = clock.Add(time.Hour)
	h.forget(clock)
	if n := len(h.caught); n != 0 {
		t.Errorf("%d clients remembered after their time", n)
	}
}

func TestFutureReleaseKeyword(t *testing.T) {
	h := &FutureReleaseEHLOHook{func() time.Time { return time.Date(2026, 1, 30, 8, 0, 0, 0, time.FixedZone("", 3600)) }}
	s := NewSession("x", netip.IPv4Unspecified(), nil)
	if got := h.EhloKeywords(s); got != nil {
		t.Errorf("without user: %q", got)
	}
	s.User = "bob"
	if got := h.EhloKeywords(s); len(got) != 1 || got[0] != "FUTURERELEASE 86400 2026-01-31T07:00:00Z" {
		t.Errorf("got %q", got)
	}
}

func TestFutureReleaseUntil(t *testing.T) {
	h := &FutureReleaseMailParameterHook{func() time.Time { return time.Date(2026, 1, 30, 8, 0, 0, 0, time.UTC) }}
	for value, want := range map[string]time.Duration{
		"2026-01-30T08:00:00Z": 0, "2026-01-31T08:00:00Z": maxHold, "2026-01-30T10:00:01+01:00": time.Hour + time.Second,
		"2026-01-31T08:00:01Z": -1, "2026-01-30T07:59:59Z": -1, "9999-12-31T23:59:59Z": -1, "0001-01-01T00:00:00Z": -1, "2026-01-30": -1, "": -1,
	} {
		s := NewSession("x", netip.IPv4Unspecified(), nil)
		s.User = "bob"
		d := h.MailParam(context.Background(), s, Param{Name: "HOLDUNTIL", Value: value, HasValue: true})
		if d.Refuses() != (want < 0) || want >= 0 && s.Tx.Delay != want {
			t.Errorf("%s: got %+v, delay %v, want %v", value, d, s.Tx.Delay, want)
		}
	}
}

// TestExamplesOfJames: what is of no use in a server is refused with a reason.
func TestExamplesOfJames(t *testing.T) {
	for class, want := range map[string]string{
		"org.apache.james.examples.LoggingRcptHook": "Can not load org.apache.james.examples.LoggingRcptHook: an example of James, which writes each recipient",
		"org.apache.james.examples.Unknown":         "Can not load org.apache.james.examples.Unknown: no such handler class",
		"SpamAssassinHandler":                       `did you mean "org.apache.james.spamassassin.SpamAssassinHandler"?`,
	} {
		r := &conf.Report{}
		p := conf.ParseParams(`<handler class="`+class+`"/>`, r)
		Build(conf.SMTPServer{Chain: conf.HandlerChain{Core: conf.DefaultSMTPCore, Handlers: []*conf.Params{p}}}, NewRegistry(), Services{}, r)
		if got := fmt.Sprint(r.Problems()); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", class, got)
		}
	}
	r := &conf.Report{}
	Build(conf.SMTPServer{Chain: conf.HandlerChain{Core: "org.apache.james.examples.MyCmdHandlerLoader"}}, NewRegistry(), Services{}, r)
	if got := fmt.Sprint(r.Problems()); !strings.Contains(got, "without coreHandlersPackage the usual handlers are taken") {
		t.Error(got)
	}
}
