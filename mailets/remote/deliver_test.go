package remote

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
	"github.com/mailetd/mailetd/mailets/remote/queuetest"
	"github.com/mailetd/mailetd/repository"
)

// oneHop adds a hop for there.test at 192.0.2.1.
func (r *rig) oneHop(o hoptest.Options) *hoptest.Server {
	r.t.Helper()
	if o.Host == "" {
		o.Host = "mx.there.test"
	}
	hop := hoptest.New(r.t, o)
	r.zone.Add(r.t, "there.test. 60 IN MX 10 mx.there.test.")
	r.hop("mx.there.test", "192.0.2.1", hop)
	return hop
}

func TestDelivery(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	r.send(newMail("bob@there.test", "Eve@THERE.test"))
	got := hop.Wait(t, 1)[0]
	if want := "From: alice@here.test\r\nSubject: Test\r\nMessage-ID: <1@here.test>\r\n\r\n" + sampleBody; string(got.Data) != want {
		t.Errorf("got message %q, want %q", got.Data, want)
	}
	if got.Mail != "MAIL FROM:<alice@here.test> SIZE=114" || got.Hello != "mx.here.test" {
		t.Errorf("got %q after EHLO %s", got.Mail, got.Hello)
	}
	m := r.spool(1)[0]
	if d := describe(m); d != "done bob@there.test,Eve@there.test" {
		t.Errorf("onSuccess: got %s", d)
	}
	o, _ := m.Outcome(m.Recipients[0])
	if o.Result != "delivered" || o.Host != "mx.there.test" || o.Addr != "192.0.2.1" || o.Code != 250 || o.Enhanced != "2.0.0" || o.Attempt != 1 || !o.DSN {
		t.Errorf("outcome: got %+v", o)
	}
	r.outgoing(0)
	r.stop()
	for _, want := range []string{`msg="delivery attempt" to=bob@there.test from=<alice@here.test> relay=mx.there.test[192.0.2.1]:25 delay=`,
		` attempt=1 dsn=2.0.0 result=delivered reply="250 2.0.0 taken" mail=Mail`, "queue=outgoing"} {
		if log := r.log.String(); !strings.Contains(log, want) {
			t.Errorf("log lacks %q: %s", want, log)
		}
	}
	if n := r.counter("mailetd_remote_delivered_total"); n != 2 {
		t.Errorf("counted %v delivered recipients, want 2", n)
	}
}

// counter returns the value of a counter.
func (r *rig) counter(name string) float64 {
	r.t.Helper()
	families, err := r.mtr.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// on is one rule of a hop's script.
type on struct{ stage, match, reply string }

// Every row of the classification: what a single hop says, and what becomes of
// the mail for a@ and b@ with no retries: all in the spool.
func TestClassification(t *testing.T) {
	const all = "a@there.test,b@there.test"
	for _, tc := range []struct {
		name    string
		partial bool
		script  []on
		want    []string
	}{
		{"accepted", true, nil, []string{"done " + all}},
		{"greeting 554", true, []on{{"CONNECT", "", "554 5.3.2 no"}}, []string{"bounces " + all + " false 554 554 5.3.2 no"}},
		{"greeting 421", true, []on{{"CONNECT", "", "421 busy"}}, []string{"bounces " + all + " false 421 421 4.4.2 busy"}},
		{"greeting nonsense", true, []on{{"CONNECT", "", "SSH-2.0"}}, []string{"bounces " + all + ` false bad reply line "SSH-2.0": remote host does not speak SMTP while waiting for the greeting`}},
		{"EHLO refused", true, []on{{"EHLO", "", "500 what?"}}, []string{"done " + all}},
		{"EHLO and HELO refused", true, []on{{"EHLO", "", "500 no"}, {"HELO", "", "550 5.7.1 no"}}, []string{"bounces " + all + " true 550 550 5.7.1 no"}},
		{"MAIL 550", true, []on{{"MAIL", "", "550 5.1.8 bad sender"}}, []string{"bounces " + all + " true 550 550 5.1.8 bad sender"}},
		{"MAIL 451", true, []on{{"MAIL", "", "451 4.7.1 later"}}, []string{"bounces " + all + " false 451 451 4.7.1 later"}},
		{"MAIL 421", true, []on{{"MAIL", "", "421 4.3.2 closing"}}, []string{"bounces " + all + " false 421 421 4.3.2 closing"}},
		{"MAIL dropped", true, []on{{"MAIL", "", hoptest.Drop}}, []string{"bounces " + all + " false connection closed by remote host while sending MAIL"}},
		{"all 550", true, []on{{"RCPT", "", "550 5.1.1 unknown"}}, []string{"bounces " + all + " true 550 550 5.1.1 unknown"}},
		{"all 450", true, []on{{"RCPT", "", "450 4.2.1 busy"}}, []string{"bounces " + all + " false 450 450 4.2.1 busy"}},
		{"all 552", true, []on{{"RCPT", "", "552 full"}}, []string{"bounces " + all + " false 552 552 4.2.2 full"}},
		{"552 with 5.2.2", true, []on{{"RCPT", "", "552 5.2.2 full"}}, []string{"bounces " + all + " true 552 552 5.2.2 full"}},
		{"two reasons", true, []on{{"RCPT", "a@", "550 5.1.1 unknown"}, {"RCPT", "b@", "450 4.2.1 busy"}},
			[]string{"bounces a@there.test true 550 550 5.1.1 unknown", "bounces b@there.test false 450 450 4.2.1 busy"}},
		{"two permanent reasons", true, []on{{"RCPT", "a@", "550 5.1.1 unknown"}, {"RCPT", "b@", "550 5.7.1 denied"}},
			[]string{"bounces a@there.test true 550 550 5.1.1 unknown", "bounces b@there.test true 550 550 5.7.1 denied"}},
		{"one 550, partial", true, []on{{"RCPT", "a@", "550-5.1.1 no\n550 5.1.1 such user"}},
			[]string{"bounces a@there.test true 550 550 5.1.1 no\nsuch user", "done b@there.test"}},
		{"one 450, partial", true, []on{{"RCPT", "a@", "450 4.2.1 busy"}}, []string{"bounces a@there.test false 450 450 4.2.1 busy", "done b@there.test"}},
		{"one 550, not partial", false, []on{{"RCPT", "a@", "550 5.1.1 unknown"}},
			[]string{"bounces a@there.test true 550 550 5.1.1 unknown", "bounces b@there.test false not sent, because another recipient was refused: 550 5.1.1 unknown"}},
		{"one 450, not partial", false, []on{{"RCPT", "b@", "450 4.2.1 busy"}},
			[]string{"bounces a@there.test false not sent, because another recipient was refused: 450 4.2.1 busy", "bounces b@there.test false 450 450 4.2.1 busy"}},
		{"RCPT dropped", true, []on{{"RCPT", "b@", hoptest.Drop}}, []string{"bounces " + all + " false connection closed by remote host while sending RCPT"}},
		{"DATA 554", true, []on{{"DATA", "", "554 5.7.1 no"}}, []string{"bounces " + all + " true 554 554 5.7.1 no"}},
		{"DATA 451", true, []on{{"DATA", "", "451 4.3.0 no"}}, []string{"bounces " + all + " false 451 451 4.3.0 no"}},
		{"DATA 354, nobody accepted", true, []on{{"RCPT", "", "550 5.1.1 unknown"}, {"NOOP", "DATA", "354 oh well"}}, []string{"bounces " + all + " true 550 550 5.1.1 unknown"}},
		{"body dropped", true, []on{{"BODY", "", hoptest.Drop}}, []string{"bounces " + all + " false connection closed"}},
		{"end 550", true, []on{{"EOM", "", "550 5.6.0 spam"}}, []string{"bounces " + all + " true 550 550 5.6.0 spam"}},
		{"end 451", true, []on{{"EOM", "", "451 4.3.0 disk"}}, []string{"bounces " + all + " false 451 451 4.3.0 disk"}},
		{"end dropped", true, []on{{"EOM", "", hoptest.Drop}}, []string{"bounces " + all + " false connection closed by remote host while waiting for the reply to the message"}},
		{"QUIT hangs", true, []on{{"QUIT", "", hoptest.Hang}}, []string{"done " + all}},
	} {
		for _, ext := range [][]string{nil, {"8BITMIME"}} { // with and without pipelining
			t.Run(fmt.Sprint(tc.name, len(ext)), func(t *testing.T) {
				c := testConfig()
				c.SendPartial = tc.partial
				r := newRig(t, c).run()
				hop := r.oneHop(hoptest.Options{Extensions: ext})
				for _, s := range tc.script {
					hop.On(s.stage, s.match, s.reply)
				}
				r.send(newMail("a@there.test", "b@there.test"))
				for i, m := range r.spool(len(tc.want)) {
					got := describe(m)
					if tc.name == "body dropped" { // how the break shows depends on timing
						got = strings.ReplaceAll(got, "EOF", "closed")
						if !strings.HasPrefix(got, "bounces "+all+" false ") {
							t.Errorf("got %q", got)
						}
						continue
					}
					if got != tc.want[i] {
						t.Errorf("got  %q\nwant %q", got, tc.want[i])
					}
				}
				r.outgoing(0)
			})
		}
	}
}

// Names of the pieces of one mail differ: a repository keeps one mail per name.
func TestPiecesHaveNames(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "a@", "550 5.1.1 unknown")
	hop.On("RCPT", "b@", "550 5.7.1 denied")
	hop.On("RCPT", "c@", "450 4.2.1 busy")
	r.send(newMail("a@there.test", "b@there.test", "c@there.test", "d@there.test"))
	names := map[string]bool{}
	for _, m := range r.spool(4) {
		names[m.Name] = true
	}
	if len(names) != 4 {
		t.Errorf("got names %v, want four", names)
	}
}

func TestOtherHosts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script []on
		want   string // spool
		second int    // messages the second host gets
	}{
		{"greeting refused", []on{{"CONNECT", "", "554 no"}}, "done a@there.test", 1},
		{"EHLO refused", []on{{"EHLO", "", "550 no"}, {"HELO", "", "550 no"}}, "done a@there.test", 1},
		{"EHLO dropped", []on{{"EHLO", "", hoptest.Drop}}, "done a@there.test", 1},
		{"MAIL 451", []on{{"MAIL", "", "451 later"}}, "done a@there.test", 1},
		{"RCPT 450", []on{{"RCPT", "", "450 later"}}, "done a@there.test", 1},
		{"DATA 451", []on{{"DATA", "", "451 later"}}, "done a@there.test", 1},
		{"end 451", []on{{"EOM", "", "451 later"}}, "done a@there.test", 1},
		{"421 at RCPT", []on{{"RCPT", "", "421 closing"}}, "done a@there.test", 1},
		{"MAIL 550", []on{{"MAIL", "", "550 5.7.1 no"}}, "bounces a@there.test true 550 550 5.7.1 no", 0},
		{"RCPT 550", []on{{"RCPT", "", "550 5.1.1 no"}}, "bounces a@there.test true 550 550 5.1.1 no", 0},
		{"RCPT 552", []on{{"RCPT", "", "552 full"}}, "bounces a@there.test false 552 552 4.2.2 full", 0},
		{"end dropped", []on{{"EOM", "", hoptest.Drop}}, "bounces a@there.test false connection closed by remote host while waiting for the reply to the message", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, testConfig()).run()
			first := r.oneHop(hoptest.Options{})
			for _, s := range tc.script {
				first.On(s.stage, s.match, s.reply)
			}
			second := hoptest.New(t, hoptest.Options{})
			r.zone.Add(t, "there.test. 60 IN MX 20 mx2.there.test.")
			r.hop("mx2.there.test", "2001:db8::2", second)
			r.send(newMail("a@there.test"))
			if got := describe(r.spool(1)[0]); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if second.Accepted() != tc.second {
				t.Errorf("second host got %d messages, want %d", second.Accepted(), tc.second)
			}
		})
	}
}

// A host that may have taken the message counts for more than one that refused
// to talk before: nobody is told that the mail failed.
func TestRefusedThenUncertain(t *testing.T) {
	c := testConfig()
	c.Plan, _ = NewPlan(ptr("1"), nil)
	r := newRig(t, c).run()
	first := r.oneHop(hoptest.Options{})
	first.On("EHLO", "", "550 5.7.1 go away")
	first.On("HELO", "", "550 5.7.1 go away")
	second := hoptest.New(t, hoptest.Options{})
	second.On("EOM", "", hoptest.Drop)
	r.zone.Add(t, "there.test. 60 IN MX 20 mx2.there.test.")
	r.hop("mx2.there.test", "192.0.2.2", second)
	r.send(newMail("a@there.test"))
	left := r.store.Wait(t, "outgoing", func(l []queuetest.Entry) bool { return len(l) == 0 || l[0].Delay > 0 })
	if len(left) == 0 {
		t.Fatalf("bounced: %s", describe(r.spool(1)[0]))
	}
	o, _ := left[0].Mail.Outcome(left[0].Mail.Recipients[0])
	if o.Result != container.Deferred || o.Host != "mx2.there.test" {
		t.Errorf("got outcome %+v, want one of the second host", o)
	}
}

// A reply is worth more than the news that the next host is down, and one host's
// refusal to talk does not end a mail that another may take later.
func TestLastRealDiagnostic(t *testing.T) {
	for _, tc := range []struct{ stage, reply, want string }{
		{"RCPT", "450 4.7.1 greylisted", "bounces a@there.test false 450 450 4.7.1 greylisted"},
		{"EHLO", "550 5.7.1 go away", "bounces a@there.test false 550 550 4.7.1 go away"},
	} {
		r := newRig(t, testConfig()).run()
		hop := r.oneHop(hoptest.Options{})
		hop.On(tc.stage, "", tc.reply)
		hop.On("HELO", "", tc.reply)
		r.zone.Add(t, "there.test. 60 IN MX 20 mx2.there.test.", "mx2.there.test. 60 IN A 192.0.2.2")
		r.send(newMail("a@there.test"))
		if got := describe(r.spool(1)[0]); got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

func TestRetries(t *testing.T) {
	c := testConfig()
	c.Plan, _ = NewPlan(ptr("2"), ptr("5 minutes, 1 hour"))
	c.UsePriority = true
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "", "451 4.7.1 later")
	m := newMail("a@there.test")
	m.Set(container.AttrRetryCount, int32(7)) // left over: the state is not error
	r.send(m)
	for i, delay := range []time.Duration{5 * time.Minute, time.Hour} {
		e := r.store.Wait(t, "outgoing", func(l []queuetest.Entry) bool { return len(l) == 1 && l[0].Delay == delay })[0]
		n, _ := e.Mail.Attributes.Int(container.AttrRetryCount)
		perm, ok := e.Mail.Attributes.Bool(container.AttrPermanentError)
		prio, _ := e.Mail.Attributes.Int(container.AttrPriority)
		o, _ := e.Mail.Outcome(e.Mail.Recipients[0])
		if e.Mail.State != "error" || n != i+1 || perm || !ok || prio != -9 || o.Result != "deferred" || o.Attempt != i+1 || o.Code != 451 {
			t.Errorf("retry %d: state %s, count %d, permanent %t %t, priority %d, outcome %+v", i+1, e.Mail.State, n, perm, ok, prio, o)
		}
		r.store.Ripen()
	}
	got := r.spool(1)[0]
	if d := describe(got); d != "bounces a@there.test false 451 451 4.7.1 later" {
		t.Errorf("got %s", d)
	}
	if o, _ := got.Outcome(got.Recipients[0]); o.Result != "failed" || o.Attempt != 3 || o.Enhanced != "4.7.1" {
		t.Errorf("outcome: got %+v", o)
	}
	if sent, _ := got.Attributes.Bool(container.AttrSentByMailet); !sent {
		t.Error("SentByMailet is not set")
	}
	r.outgoing(0)
}

// What is delivered in a later attempt is no error any more.
func TestRetrySucceeds(t *testing.T) {
	c := testConfig()
	c.Plan, _ = NewPlan(ptr("1"), nil)
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "b@", "451 4.7.1 later")
	hop.On("RCPT", "c@", "550 5.1.1 unknown")
	m := newMail("a@there.test", "b@there.test", "c@there.test")
	m.SetOutcome(container.MustAddress("gone@there.test"), container.Outcome{Result: container.Failed})
	r.send(m)
	r.store.Wait(t, "outgoing", func(l []queuetest.Entry) bool { return len(l) == 1 && l[0].Delay == 6*time.Hour })
	hop.Clear()
	r.store.Ripen()
	want := []string{"bounces c@there.test true 550 550 5.1.1 unknown", "done a@there.test", "done b@there.test"}
	for i, m := range r.spool(3) {
		if got := describe(m); got != want[i] {
			t.Errorf("got %q, want %q", got, want[i])
		}
		if outs, _ := m.Attributes.Map(container.AttrOutcomes); len(outs) != 1 {
			t.Errorf("%s: outcomes of %d recipients, want 1", want[i], len(outs))
		}
	}
}

func TestRoutingFailures(t *testing.T) {
	r := newRig(t, testConfig()).run()
	r.zone.Add(t, "null.test. 60 IN MX 0 .", "loop.test. 60 IN MX 1 mx.here.test.", "mx.here.test. 60 IN A 192.0.2.9", "down.test. 60 IN A 192.0.2.8")
	r.zone.Fail("temp.test", "SERVFAIL")
	for _, tc := range []struct{ domain, want, status string }{
		{"null.test", "true 556 556 5.1.10 domain null.test takes no mail (null MX)", "5.1.10"},
		{"loop.test", "true mail for loop.test loops back to this host", "5.4.6"},
		{"gone.test", "true There are no DNS entries for the hostname gone.test", "5.1.2"},
		{"down.test", "false connection refused while connecting", "4.4.1"},
		{"temp.test", "false Temporary problem looking up mail server for host: temp.test", "4.4.7"},
	} {
		r.send(newMail("a@" + tc.domain))
		m := r.store.Wait(t, "spool", func(l []queuetest.Entry) bool {
			return slices.ContainsFunc(l, func(e queuetest.Entry) bool { return e.Mail.Recipients[0].Domain == tc.domain })
		})
		got := m[len(m)-1].Mail
		if d := describe(got); !strings.HasPrefix(d, "bounces a@"+tc.domain+" "+tc.want) {
			t.Errorf("got %q, want %q", d, tc.want)
		}
		if o, _ := got.Outcome(got.Recipients[0]); o.Enhanced != tc.status || o.Result != "failed" {
			t.Errorf("%s: outcome %+v, want %s", tc.domain, o, tc.status)
		}
	}
}

func TestManyRecipients(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "late", "452 4.5.3 too many")
	var rcpts []string
	for i := range 250 {
		rcpts = append(rcpts, fmt.Sprintf("u%d@there.test", i))
	}
	m := newMail(append(rcpts, "late1@there.test", "late2@there.test")...)
	r.send(m)
	hop.Wait(t, 1)
	hop.Until(t, func() bool { return slices.Contains(hop.Commands(), "RCPT TO:<late1@there.test>") })
	got := r.spool(2)
	if n := len(got[1].Recipients); n != 250 || len(got[0].Recipients) != 2 || hop.Connections() != 1 {
		t.Errorf("got %d delivered, %d put off, %d connections", n, len(got[0].Recipients), hop.Connections())
	}
}

// 452 to more recipients than fit sends them in a transaction of their own.
func TestTooManyForOneTransaction(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	hop.Times(1, "RCPT", "b@", "452 4.5.3 too many recipients")
	r.send(newMail("a@there.test", "b@there.test"))
	if got := hop.Wait(t, 2); got[0].To()[0] != "a@there.test" || got[1].To()[0] != "b@there.test" || hop.Connections() != 1 {
		t.Errorf("got %v, %d connections", got, hop.Connections())
	}
	if d := describe(r.spool(1)[0]); d != "done a@there.test,b@there.test" {
		t.Errorf("got %s", d)
	}
}

func TestRelayedWithoutDSN(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{Extensions: []string{"PIPELINING"}})
	m := newMail("a@there.test")
	m.Set(container.AttrDSNRet, "HDRS")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"a@there.test": "SUCCESS"})
	r.send(m)
	tr := hop.Wait(t, 1)[0]
	if tr.Mail != "MAIL FROM:<alice@here.test>" || tr.Rcpts[0] != "RCPT TO:<a@there.test>" {
		t.Errorf("sent %q, %q to a host that offers nothing", tr.Mail, tr.Rcpts)
	}
	got := r.spool(1)[0]
	if o, _ := got.Outcome(got.Recipients[0]); o.Result != "relayed" || o.DSN {
		t.Errorf("outcome: got %+v, want relayed", o)
	}
}

func TestTextBounce(t *testing.T) {
	c := testConfig()
	c.BounceProcessor = ""
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "", "550 5.1.1 unknown")
	m := newMail("a@there.test", "never@there.test")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"never@there.test": "NEVER"})
	r.send(m)
	got := r.spool(1)[0]
	data, body := string(got.Message.Header()), string(got.Message.Body().(container.BytesBody))
	if !got.Sender.IsNull() || got.Recipients[0].String() != "alice@here.test" || got.State != "root" || got.Name != "replyTo-"+m.Name+"-to-there.test" {
		t.Errorf("got %s from %s to %v in state %s", got.Name, got.Sender.Pretty(), got.Recipients, got.State)
	}
	for _, want := range []string{"From: postmaster@here.test\r\n", "To: alice@here.test\r\n", "Subject: Re: Test\r\n", "In-Reply-To: <1@here.test>\r\n", "Auto-Submitted:"} {
		if !strings.Contains(data, want) {
			t.Errorf("header lacks %q:\n%s", want, data)
		}
	}
	want := "Hi. This is the James mail server at mx.here.test.\r\n"
	if !strings.HasPrefix(body, want) || !strings.HasSuffix(body, "your message.\r\n\r\na@there.test\r\nRemote mail server told me: 550 5.1.1 unknown\r\n\r\n") {
		t.Errorf("got body %q", body)
	}
	// Nobody is told about a notification.
	null := newMail("b@there.test")
	null.Sender = container.Address{}
	r.send(null)
	r.outgoing(0)
	if n := len(r.store.List("spool")); n != 1 {
		t.Errorf("got %d mails in the spool, want 1", n)
	}
}

// A queue item for other domains than its destination says is put in place.
func TestMisplacedItems(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	r.zone.Add(t, "other.test. 60 IN MX 10 mx.there.test.")
	m := newMail("a@there.test", "b@other.test")
	single := newMail("c@there.test")
	nobody := newMail()
	var entries []container.Entry
	for _, m := range []*container.Mail{m, single, nobody} {
		entries = append(entries, container.Entry{Mail: m, Queue: "outgoing"})
	}
	if err := r.store.Commit(t.Context(), repository.Change{Entries: entries}); err != nil {
		t.Fatal(err)
	}
	got := hop.Wait(t, 3)
	var to []string
	for _, tr := range got {
		to = append(to, strings.Join(tr.To(), ","))
	}
	slices.Sort(to)
	if fmt.Sprint(to) != "[a@there.test b@other.test c@there.test]" {
		t.Errorf("got %v", to)
	}
	names := map[string]bool{}
	for _, m := range r.spool(3) {
		names[m.Name] = true
	}
	if !names[single.Name] || !names[m.Name+"-to-other.test"] {
		t.Errorf("names: %v", names)
	}
	r.outgoing(0)
}

// A result that the store cannot take at the moment is kept, and the mail is not
// sent again.
func TestCommitFails(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	failures := 0
	r.store.FailCommits(func(c repository.Change) error {
		if c.Done != nil && failures < 2 {
			failures++
			return errors.New("disk full")
		}
		return nil
	})
	r.send(newMail("a@there.test"))
	r.spool(1)
	r.outgoing(0)
	if hop.Accepted() != 1 {
		t.Errorf("sent %d times, want once", hop.Accepted())
	}
}

// brokenBody fails after some octets.
type brokenBody struct{}

func (brokenBody) Size() int64 { return 1 << 20 }

func (brokenBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("text\r\n", 10000)), iotest.ErrReader(errors.New("bad sector")))), nil
}

// A message that cannot be read to its end is never completed.
func TestBodyCannotBeRead(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{Extensions: []string{"PIPELINING"}})
	m := newMail("a@there.test")
	m.Message = container.NewMessage([]byte("Subject: x\r\n"), brokenBody{})
	r.send(m)
	if d := describe(r.spool(1)[0]); d != "bounces a@there.test false cannot read the message: bad sector" {
		t.Errorf("got %s", d)
	}
	if hop.Accepted() != 0 {
		t.Error("half a message was delivered")
	}
}
