package mailets

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote"
)

// remoteDelivery makes the mailet from its parameters.
func remoteDelivery(t *testing.T, params string) (*RemoteDelivery, remote.Config, []string) {
	t.Helper()
	var report conf.Report
	s := Services{Hostname: "mx.here.test", DefaultDomain: "here.test"}
	snippet := `<mailet match="All" class="RemoteDelivery">` + params + `</mailet>`
	p := conf.ParseParams(snippet, &report)
	m := newRemoteDelivery(s)(p).(*RemoteDelivery)
	p.Close()
	var problems []string
	for _, pr := range report.Problems() {
		problems = append(problems, pr.Severity.String()+": "+pr.Text)
	}
	return m, remoteConfig(conf.ParseParams(snippet, &conf.Report{}), s), problems
}

func TestRemoteDeliveryParameters(t *testing.T) {
	for _, tc := range []struct {
		params  string
		show    func(remote.Config) any
		want    string
		problem string // one that must be there; "" for none at all
	}{
		{"", func(c remote.Config) any {
			return []any{c.Queue, c.Plan.Retries, c.Threads, c.HeloName, c.VerifyIdentity, c.LoadBalance}
		}, "[outgoing 5 50 mx.here.test true true]", ""},
		{"<outgoing>a</outgoing><outgoingQueue>b</outgoingQueue>", func(c remote.Config) any { return c.Queue }, "a", "warning: James ignores <outgoingQueue>"},
		{"<outgoingQueue>b</outgoingQueue>", func(c remote.Config) any { return c.Queue }, "b", "warning: James ignores <outgoingQueue>"},
		{"<maxRetries>0</maxRetries>", func(c remote.Config) any { return c.Plan.Retries }, "0", ""},
		{"<maxRetries>many</maxRetries>", func(c remote.Config) any { return c.Plan.Retries }, "5", `warning: maxRetries is "many"`},
		{"<delayTime>1s</delayTime><delayTime>2s</delayTime><maxRetries>2</maxRetries>", func(c remote.Config) any { return c.Plan.Delay(2) }, "2s", ""},
		{"<maxDnsProblemRetries>x</maxDnsProblemRetries>", func(c remote.Config) any { return c.MaxDNSRetries }, "0", "error: <maxDnsProblemRetries>"},
		{"<maxDnsProblemRetries/>", func(c remote.Config) any { return c.MaxDNSRetries }, "0", ""},
		{"<timeout>5000</timeout>", func(c remote.Config) any { return []any{c.Timeout, c.FinalTimeout} }, "[5s 10m0s]", ""},
		{"<timeout>1200000</timeout>", func(c remote.Config) any { return []any{c.Timeout, c.FinalTimeout} }, "[20m0s 20m0s]", ""},
		{"<timeout>x</timeout>", func(c remote.Config) any { return c.Timeout }, "0s", "warning: <timeout>"},
		{"<connectiontimeout>5</connectiontimeout>", func(c remote.Config) any { return c.ConnectTimeout }, "5ms", ""},
		{"<connectionTimeout>5</connectionTimeout>", func(c remote.Config) any { return c.ConnectTimeout }, "5ms", "warning: James ignores <connectionTimeout>"},
		{"<deliveryThreads>0</deliveryThreads>", func(c remote.Config) any { return c.Threads }, "50", "warning: <deliveryThreads>"},
		{"<gateway>a.test, b.test:26,[2001:db8::1]:27</gateway><gatewayPort>25</gatewayPort>", func(c remote.Config) any { return c.Gateways }, "[a.test:25 b.test:26 [2001:db8::1]:27]", ""},
		{"<gateway>a b</gateway>", func(c remote.Config) any { return len(c.Gateways) }, "0", `error: <gateway>: "a b" is not a gateway`},
		{"<gateway>a.test</gateway><gatewayUsername>u</gatewayUsername><gatewayPassword>p</gatewayPassword>", func(c remote.Config) any { return *c.Auth }, "{u p}",
			"warning: <gatewayUsername>: the password is sent in clear"},
		{"<gateway>a.test</gateway><gatewayusername>u</gatewayusername><startTLS>true</startTLS>", func(c remote.Config) any { return *c.Auth }, "{u }", ""},
		{"<gateway>a.test</gateway><gatewayUsername>u</gatewayUsername><sslEnable>true</sslEnable>", func(c remote.Config) any { return *c.Auth }, "{u }", ""},
		{"<gateway>a.test</gateway><gatewayUsername>u</gatewayUsername><mail.smtp.starttls.required>true</mail.smtp.starttls.required>", func(c remote.Config) any { return *c.Auth }, "{u }", ""},
		{"<gatewayUsername>u</gatewayUsername>", func(c remote.Config) any { return c.Auth }, "<nil>", "warning: <gatewayUsername> has no effect"},
		{"<bind>192.0.2.1</bind>", func(c remote.Config) any { return c.Bind }, "192.0.2.1", ""},
		{"<bind>eth0</bind>", func(c remote.Config) any { return c.Bind.IsValid() }, "false", "error: <bind>"},
		{"<heloName>a b</heloName>", func(c remote.Config) any { return c.HeloName }, "a b", "error: <heloName>"},
		{"<heloName>a.test</heloName><mail.smtp.localhost>b.test</mail.smtp.localhost>", func(c remote.Config) any { return c.HeloName }, "b.test", ""},
		{"<mail.smtp.starttls.required>true</mail.smtp.starttls.required>", func(c remote.Config) any { return c.StartTLSRequired }, "true", ""},
		{"<mail.smtp.ssl.trust>*</mail.smtp.ssl.trust>", func(c remote.Config) any { return c.TrustAll }, "true", ""},
		{"<mail.smtp.ssl.trust>a.test b.test</mail.smtp.ssl.trust>", func(c remote.Config) any { return c.TrustHosts }, "[a.test b.test]", ""},
		{"<mail.smtp.port>2525</mail.smtp.port>", func(c remote.Config) any { return c.Port }, "2525", ""},
		{"<mail.smtp.port>99999</mail.smtp.port>", func(c remote.Config) any { return c.Port }, "0", "error: <mail.smtp.port>"},
		{"<mail.smtp.quitwait>true</mail.smtp.quitwait>", func(c remote.Config) any { return c.Port }, "0", "warning: <mail.smtp.quitwait> has no meaning here"},
		{"<startTls>true</startTls>", func(c remote.Config) any { return c.StartTLS }, "false", `did you mean "startTLS"`},
	} {
		_, c, problems := remoteDelivery(t, tc.params)
		if got := fmt.Sprint(tc.show(c)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.params, got, tc.want)
		}
		all := strings.Join(problems, "\n")
		if (tc.problem == "") != (all == "") || !strings.Contains(all, tc.problem) {
			t.Errorf("%s: got problems %q, want %q", tc.params, all, tc.problem)
		}
	}
}

// queued serves a mail and returns what was queued: name, recipients, queue and
// the place in the destination.
func queued(t *testing.T, params string, m *container.Mail) []string {
	t.Helper()
	r, _, _ := remoteDelivery(t, params)
	var out container.Outbox
	if err := r.Service(t.Context(), m, &out); err != nil {
		t.Fatal(err)
	}
	if m.State != container.StateGhost {
		t.Errorf("state of the mail is %s, want ghost", m.State)
	}
	var got []string
	for _, e := range out.Entries() {
		place, _, _ := strings.Cut(e.Destination, "#")
		if e.Mail.State != "relay" || e.Delay != 0 {
			t.Errorf("queued in state %s with delay %s", e.Mail.State, e.Delay)
		}
		got = append(got, strings.Join([]string{e.Mail.Name, strings.Join(container.AddressStrings(e.Mail.Recipients), " "), e.Queue, place}, "|"))
	}
	return got
}

func TestRemoteDeliveryQueues(t *testing.T) {
	mail := func() *container.Mail {
		var rcpts []container.Address
		for _, a := range []string{"a@x.test", "b@Y.test", "c@X.TEST", "A@x.test"} {
			rcpts = append(rcpts, container.MustAddress(a))
		}
		m := container.NewMail(container.MustAddress("s@here.test"), rcpts, container.Message{})
		m.Name, m.State = "Mail1", "relay"
		return m
	}
	for _, tc := range []struct {
		params string
		want   []string
	}{
		{"", []string{"Mail1-to-x.test|a@x.test c@x.test|outgoing|x.test", "Mail1-to-y.test|b@y.test|outgoing|y.test"}},
		{"<gateway>g.test,h.test:26</gateway><outgoing>q</outgoing>", []string{"Mail1|a@x.test b@y.test c@x.test A@x.test|q|gateway:g.test,h.test:26"}},
	} {
		if got := queued(t, tc.params, mail()); !slices.Equal(got, tc.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", tc.params, got, tc.want)
		}
	}
	empty := mail()
	empty.Recipients = nil
	if got := queued(t, "", empty); got != nil {
		t.Errorf("mail without recipients: got %q", got)
	}
}

func TestRemoteDeliveryAttributes(t *testing.T) {
	for _, params := range []string{"", "<usePriority>true</usePriority>"} {
		m := container.NewMail(container.Address{}, []container.Address{container.MustAddress("a@x.test")}, container.Message{})
		m.State = "error"
		m.Set(container.AttrPriority, int32(5))
		m.Set(container.AttrRetryCount, int32(5))
		r, _, _ := remoteDelivery(t, params)
		var out container.Outbox
		if err := r.Service(t.Context(), m, &out); err != nil {
			t.Fatal(err)
		}
		attrs := out.Entries()[0].Mail.Attributes
		if _, ok := attrs.Int(container.AttrPriority); ok != (params != "") {
			t.Errorf("%s: MAIL_PRIORITY kept: %t", params, ok)
		}
		if _, ok := attrs.Int(container.AttrRetryCount); ok {
			t.Errorf("%s: retry counter of a former pass is kept", params)
		}
	}
}

func TestRemoteDeliveryStates(t *testing.T) {
	r, _, _ := remoteDelivery(t, "<bounceProcessor>bounces</bounceProcessor><onSuccess>done</onSuccess>")
	if got := fmt.Sprint(r.ReferredStates()); got != "[bounces done]" {
		t.Errorf("got %s", got)
	}
	if r, _, _ := remoteDelivery(t, ""); r.ReferredStates() != nil {
		t.Errorf("got %v, want none", r.ReferredStates())
	}
}
