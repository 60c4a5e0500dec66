package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/smtphooks"
)

// lmtpLocal has the accounts of fakeLocal and some whose mailbox is in trouble.
// removed@here.test is there once: at RCPT.
type lmtpLocal struct {
	fakeLocal
	mu    *sync.Mutex
	asked *int
}

func (l lmtpLocal) UserExists(ctx context.Context, a container.Address) (bool, error) {
	switch a.Local {
	case "full", "failing", "panicking", "nospace", "badname":
		return true, nil
	case "removed":
		l.mu.Lock()
		defer l.mu.Unlock()
		*l.asked++
		return *l.asked <= 2, nil // ValidRcptHandler and the mailbox
	}
	return l.fakeLocal.UserExists(ctx, a)
}

// fakeMailboxes keeps what is delivered, by account.
type fakeMailboxes struct {
	mu    sync.Mutex
	boxes map[string][]*container.Mail
}

func (b *fakeMailboxes) Deliver(_ context.Context, m *container.Mail, rcpt container.Address) error {
	switch rcpt.Local {
	case "full":
		return &smtphooks.MailboxError{Enhanced: "4.2.2", Err: errors.New("quota")}
	case "nospace":
		return &smtphooks.MailboxError{Enhanced: "4.3.1", Err: errors.New("no space")}
	case "badname":
		return &smtphooks.MailboxError{Enhanced: "5.1.3", Err: errors.New("name")}
	case "failing":
		return errors.New("disk on fire")
	case "panicking":
		panic("mailbox on fire")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.boxes[rcpt.Key()] = append(b.boxes[rcpt.Key()], m)
	return nil
}

func (b *fakeMailboxes) of(account string) []*container.Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.boxes[account])
}

// process puts the mail back into the spool, unless it does not like a recipient.
func process(_ context.Context, m *container.Mail, out *container.Outbox) error {
	for _, r := range m.Recipients {
		switch r.Local {
		case "failing":
			return errors.New("mailet on fire")
		case "panicking":
			panic("container on fire")
		}
	}
	out.Send(m)
	return nil
}

// lmtpHarness is a running LMTP server.
type lmtpHarness struct {
	*harness
	boxes *fakeMailboxes
}

func buildLMTP(t testing.TB, xml string) (*lmtpHarness, *conf.Report) {
	t.Helper()
	r := &conf.Report{}
	h := &lmtpHarness{&harness{t: t, queue: &fakeQueue{}, log: &lockedBuffer{}, ended: make(chan error, 1)},
		&fakeMailboxes{boxes: map[string][]*container.Mail{}}}
	h.Server = New(conf.LMTPServers(conf.ParseXML("lmtpserver.xml", []byte(xml), r), r), smtphooks.NewRegistry(), smtphooks.Services{
		DefaultDomain: "here.test", Hostname: "mx.here.test", Local: lmtpLocal{mu: &sync.Mutex{}, asked: new(int)}, DNS: fakeDNS{}, Queue: h.queue,
		Log:       slog.New(logctx.Handler(slog.NewTextHandler(h.log, nil))),
		Mailboxes: func(string) (smtphooks.Mailboxes, error) { return h.boxes, nil }, Process: process,
	}, Options{}, r)
	return h, r
}

func startLMTP(t testing.TB, elements string) *lmtpHarness {
	t.Helper()
	if !strings.Contains(elements, "<bind>") {
		elements += "<bind>127.0.0.1:0</bind>"
	}
	h, r := buildLMTP(t, `<lmtpservers><lmtpserver><helloName autodetect="false">mx.here.test</helloName>`+elements+`</lmtpserver></lmtpservers>`)
	if r.HasErrors() {
		t.Fatalf("configuration has errors: %v", r.Problems())
	}
	if err := h.Listen(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() { h.ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		h.Close()
		h.wait()
	})
	return h
}

// TestLMTPDialogs plays testdata/lmtp/*.txtar as TestDialogs does.
func TestLMTPDialogs(t *testing.T) {
	files, err := filepath.Glob("testdata/lmtp/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogs: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		a := txtar.Parse(data)
		for _, f := range a.Files[1:] {
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+f.Name, func(t *testing.T) {
				startLMTP(t, string(a.Files[0].Data)).dial().talk(string(f.Data))
			})
		}
	}
}

const lmtpContainerChain = `<handlerchain coreHandlersPackage="org.apache.james.lmtpserver.MailetContainerCmdHandlerLoader">`

// lmtpMessage hands in one message and expects these replies to it.
func lmtpMessage(c *client, rcpts []string, text string, want ...string) {
	c.t.Helper()
	c.expect("220 ...")
	c.send("LHLO client.test\r\n")
	for strings.HasPrefix(c.line(), "250-") {
	}
	c.send("MAIL FROM:<a@far.test>\r\n")
	c.expect("250 ...")
	for _, r := range rcpts {
		c.send("RCPT TO:<" + r + ">\r\n")
		c.expect("250 ...")
	}
	c.send("DATA\r\n")
	c.expect("354 ...")
	c.send(text)
	c.expect(want...)
}

func TestLMTPDeliversWhatItSays(t *testing.T) {
	h := startLMTP(t, "<handlerchain/>")
	lmtpMessage(h.dial(), []string{"bob@here.test", "full@here.test", "alias@here.test", "BOB@here.test"}, "Subject: x\r\n\r\n..dot\r\n.\r\n",
		"250 2.6.0 Message received <bob@here.test>", "552 5.2.2 ...", "250 2.6.0 Message received <alias@here.test>", "250 2.6.0 Message received <bob@here.test>")
	for _, account := range []string{"bob@here.test", "alice@here.test"} {
		got := h.boxes.of(account)
		if len(got) != 1 {
			t.Fatalf("%s has %d mails, want 1", account, len(got))
		}
		header, body := content(t, got[0])
		if !strings.HasSuffix(header, "Subject: x\r\n") || body != ".dot\r\n" {
			t.Errorf("%s has header %q and body %q", account, header, body)
		}
		want := "Received: from localhost (EHLO client.test) ([127.0.0.1])\r\n          by mx.here.test (JAMES Protocols Server) with LMTP ID "
		if !strings.HasPrefix(header, want) || strings.Contains(header, " for ") {
			t.Errorf("header is %q, want %q...", header, want)
		}
	}
	if n := len(h.queue.all()); n != 0 {
		t.Errorf("%d mails in the spool, want none", n)
	}
	if log := h.log.String(); !strings.Contains(log, "mail delivered") || !strings.Contains(log, "to=full@here.test code=552") {
		t.Errorf("the log does not tell: %s", log)
	}
}

func TestLMTPContainerStoresWhatComesOfIt(t *testing.T) {
	for _, tc := range []struct {
		name, chain string
		err         error
		want        []string // replies
		names, sent int      // different names of mails, mails
	}{
		{"together", lmtpContainerChain + `</handlerchain>`, nil, []string{"250 ...", "250 ...", "250 ..."}, 1, 1},
		{"each", lmtpContainerChain + `<handler class="org.apache.james.lmtpserver.MailetContainerHandler"><splitExecution>true</splitExecution></handler></handlerchain>`,
			nil, []string{"250 ...", "250 ...", "250 ..."}, 2, 2},
		{"beside the default bundle", `<handlerchain><handler class="org.apache.james.lmtpserver.MailetContainerHandler"><splitExecution>true</splitExecution></handler></handlerchain>`,
			nil, []string{"250 ...", "250 ...", "250 ..."}, 2, 2},
		{"store fails", lmtpContainerChain + `</handlerchain>`, errors.New("disk on fire"), []string{"451 4.0.0 ...", "451 4.0.0 ...", "451 4.0.0 ..."}, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := startLMTP(t, tc.chain)
			h.queue.err = tc.err
			lmtpMessage(h.dial(), []string{"bob@here.test", "alice@here.test", "bob@here.test"}, "Subject: x\r\n\r\nhello\r\n.\r\n", tc.want...)
			names := map[string]bool{}
			for _, m := range h.queue.all() {
				names[m.Name] = true
				if m.RemoteAddr != "127.0.0.1" || !strings.HasSuffix(string(m.Message.Header()), "Subject: x\r\n") || !strings.HasPrefix(string(m.Message.Header()), "Received: ") {
					t.Errorf("mail %+v with header %q", m, m.Message.Header())
				}
			}
			if n := len(h.queue.all()); n != tc.sent || len(names) != tc.names {
				t.Errorf("%d mails with %d names, want %d and %d", n, len(names), tc.sent, tc.names)
			}
			if len(h.boxes.of("bob@here.test")) != 0 {
				t.Error("the mail is in the mailbox, too")
			}
		})
	}
}

// A client that goes away in the middle of a message has delivered nothing.
func TestLMTPClientVanishes(t *testing.T) {
	h := startLMTP(t, "<handlerchain/>")
	c := h.dial()
	lmtpMessage(c, []string{"bob@here.test"}, "Subject: x\r\n\r\nhello\r\n.")
	c.nc.Close()
	h.stop()
	h.wait()
	if got := h.boxes.of("bob@here.test"); len(got) != 0 {
		t.Errorf("%d mails delivered, want none", len(got))
	}
}

func TestLMTPOnUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	h := startLMTP(t, "<bind>127.0.0.1:0, unix:"+path+"</bind><handlerchain/>")
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	lmtpMessage(c, []string{"bob@here.test"}, "Subject: x\r\n\r\nhello\r\n.\r\n", "250 2.6.0 ...")
	if got := h.Connections(); len(got) != 1 || got[0].Protocol != "LMTP" || got[0].RemoteAddr.String() != "127.0.0.1" {
		t.Errorf("connections %+v", got)
	}
	second, r := buildLMTP(t, "<lmtpserver><bind>unix:"+path+"</bind><handlerchain/></lmtpserver>")
	if err := second.Listen(t.Context()); err == nil || r.HasErrors() {
		t.Errorf("a socket in use was taken: %v, %v", err, r.Problems())
	}
	c.send("QUIT\r\n")
	c.expect("221 ...")
	h.stop()
	h.wait()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestLMTPSocketNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, _ := buildLMTP(t, "<lmtpserver><bind>unix:"+path+"</bind><handlerchain/></lmtpserver>")
	if err := h.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "data" {
		t.Errorf("the file has changed: %q, %v", b, err)
	}
}

func TestLMTPConfigurationErrors(t *testing.T) {
	for chain, want := range map[string]string{
		`<handlerchain coreHandlersPackage="org.apache.james.smtpserver.CoreCmdHandlerLoader"/>`:                                                                                  "is for the other protocol",
		`<handlerchain coreHandlersPackage="org.apache.james.lmtpserver.CoreHandler"/>`:                                                                                           "Can not load org.apache.james.lmtpserver.CoreHandler: no such bundle",
		`<handlerchain><handler class="org.apache.james.smtpserver.dsn.DSNEhloHook"/></handlerchain>`:                                                                             "warning: DSNEhloHook is left out",
		lmtpContainerChain + `<handler class="org.apache.james.lmtpserver.MailetContainerHandler"><splitExecution>maybe</splitExecution></handler></handlerchain>`:                "splitExecution",
		`<handlerchain><handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"><subAddressing>true</subAddressing></handler></handlerchain>`:                       "",
		`<handlerchain jmxHandlersPackage="org.apache.james.lmtpserver.jmx.JMXHandlersLoader"><handler class="org.apache.james.lmtpserver.CoreCmdHandlerLoader"/></handlerchain>`: "",
	} {
		_, r := buildLMTP(t, "<lmtpserver>"+chain+"</lmtpserver>")
		var got []string
		for _, p := range r.Problems() {
			got = append(got, p.String())
		}
		if all := strings.Join(got, "\n"); !strings.Contains(all, want) || want == "" && all != "" {
			t.Errorf("%s: got %q, want %q", chain, all, want)
		}
	}
	r := &conf.Report{}
	server := conf.SMTPServers(conf.ParseXML("smtpserver.xml", []byte(`<smtpserver><handlerchain><handler class="org.apache.james.lmtpserver.MailetContainerHandler"/></handlerchain></smtpserver>`), r), r)
	New(server, smtphooks.NewRegistry(), smtphooks.Services{}, Options{}, r)
	if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0].String(), "belongs into lmtpserver.xml") {
		t.Errorf("got %v", p)
	}
}

// An explicit ValidRcptHandler takes the place of the one of the bundle, which
// would refuse what its parameters allow.
func TestLMTPSubAddress(t *testing.T) {
	h := startLMTP(t, `<handlerchain><handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"><subAddressing>true</subAddressing></handler></handlerchain>`)
	lmtpMessage(h.dial(), []string{"bob+list@here.test"}, ".\r\n", "250 2.6.0 Message received <bob+list@here.test>")
	if got := h.boxes.of("bob@here.test"); len(got) != 1 {
		t.Errorf("%d mails delivered, want 1", len(got))
	}
}

// The end of the server waits for a delivery that has begun, and its reply.
func TestLMTPShutdownDuringDelivery(t *testing.T) {
	h := startLMTP(t, lmtpContainerChain+`</handlerchain>`)
	h.queue.hold, h.queue.entered = make(chan struct{}), make(chan struct{})
	c := h.dial()
	lmtpMessage(c, []string{"bob@here.test"}, "Subject: x\r\n\r\nhello\r\n.\r\n")
	select {
	case <-h.queue.entered:
	case <-time.After(patience):
		t.Fatal("no commit")
	}
	h.stop()
	close(h.queue.hold)
	c.expect("250 2.6.0 Message received <bob@here.test>")
	rest, _ := io.ReadAll(c.br)
	if !strings.HasPrefix(string(rest), "421 4.3.2 ") {
		t.Errorf("got %q, want 421", rest)
	}
	h.wait()
	h.one()
}

// Whoever opens the socket is on this machine, and is not counted as one client.
func TestLimitsSpareUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lmtp")
	startLMTP(t, "<bind>unix:"+path+"</bind><connectionLimitPerIP>1</connectionLimitPerIP><limits><connectionRate>1</connectionRate><errors>1</errors></limits><handlerchain/>")
	for range 3 {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.send("NONSENSE\r\nNOOP\r\n")
		c.expect("220 ...", "500 ...", "250 ...")
	}
}
