package remote

import (
	"testing"

	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

func TestDelivery(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := hoptest.New(t, hoptest.Options{})
	r.zone.Add(t, "there.test. 60 IN MX 10 mx.there.test.")
	r.hop("mx.there.test", "192.0.2.1", hop)
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
}
