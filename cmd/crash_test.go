package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

// TestCrash kills the built server at random moments while mail flows to a
// Maildir and to a next hop, and starts it again, many times. At the end every
// message that was answered 250 must have arrived. Messages that arrived twice
// are counted: a crash between the next hop's 250 and our commit allows it. In a
// Maildir there may be none.
func TestCrash(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 8
	}
	program := filepath.Join(t.TempDir(), "mailetd")
	if out, err := exec.Command("go", "build", "-o", program, "./mailetd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	c := &crash{t: t, program: program, dir: t.TempDir(), hop: hoptest.New(t, hoptest.Options{}), accepted: map[string]bool{}}
	c.configure()
	for range kills {
		c.round()
	}
	c.finish(kills)
}

// crash is one run of the suite.
type crash struct {
	t       *testing.T
	program string
	dir     string
	hop     *hoptest.Server
	next    atomic.Int64 // number of the next message

	mu       sync.Mutex
	accepted map[string]bool // recipients, one message each, answered 250
}

const crashContainer = `<mailetcontainer>
  <spooler><threads>8</threads></spooler>
  <processors>
    <processor state="root">
      <mailet match="All" class="ToProcessor"><processor>transport</processor></mailet>
    </processor>
    <processor state="error">
      <mailet match="All" class="ToRepository"><repositoryPath>file://var/mail/error/</repositoryPath></mailet>
    </processor>
    <processor state="transport">
      <mailet match="All" class="RemoveMimeHeader"><name>bcc</name></mailet>
      <mailet match="HostIsLocal" class="LocalDelivery"/>
      <mailet match="All" class="RemoteDelivery">
        <outgoing>outgoing</outgoing>
        <gateway>127.0.0.1</gateway>
        <gatewayPort>%d</gatewayPort>
        <delayTime>100*1 second</delayTime>
        <maxRetries>100</maxRetries>
      </mailet>
    </processor>
  </processors>
</mailetcontainer>`

const crashSMTP = `<smtpservers><smtpserver enabled="true">
  <bind>127.0.0.1:0</bind>
  <authorizedAddresses>127.0.0.0/8</authorizedAddresses>
  <verifyIdentity>disabled</verifyIdentity>
  <handlerchain><handler class="org.apache.james.smtpserver.CoreCmdHandlerLoader"/></handlerchain>
</smtpserver></smtpservers>`

func (c *crash) configure() {
	for name, text := range map[string]string{
		"mailetcontainer.xml": fmt.Sprintf(crashContainer, c.hop.Port()),
		"smtpserver.xml":      crashSMTP,
		"domainlist.xml":      `<domainlist><defaultDomain>here.test</defaultDomain></domainlist>`,
		"webadmin.properties": "enabled=true\nhost=127.0.0.1\nport=0\npassword.generate=false\n",
	} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *crash) start() (*process, map[string]string) {
	p, addrs, err := startProcess(exec.Command(c.program, "serve", "-conf", c.dir, "-data", filepath.Join(c.dir, "data")))
	if err != nil {
		c.t.Fatal(err)
	}
	return p, addrs
}

// round starts the server, sends for a random time and kills it.
func (c *crash) round() {
	p, addrs := c.start()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { c.client(addrs["smtp"]) })
	}
	<-time.After(20*time.Millisecond + rand.N(300*time.Millisecond))
	p.kill()
	wg.Wait()
}

// client sends messages over one connection until it breaks.
func (c *crash) client(addr string) {
	s, err := smtp.Dial(addr)
	if err != nil {
		return
	}
	defer s.Close()
	for {
		n := c.next.Add(1)
		rcpt := fmt.Sprintf("m%d@remote.test", n)
		if n%2 == 0 {
			rcpt = fmt.Sprintf("m%d@here.test", n)
		}
		if c.sendOne(s, rcpt, n) != nil {
			return
		}
		c.mu.Lock()
		c.accepted[rcpt] = true
		c.mu.Unlock()
	}
}

// crashBody is the body of message n. Some are large enough for a file of their
// own in the store.
func crashBody(n int64) string {
	lines := 10
	if n%20 < 2 {
		lines = 2000
	}
	return strings.Repeat(fmt.Sprintf("%076d\r\n", n), lines)
}

// sendOne hands in a message.
func (c *crash) sendOne(s *smtp.Client, rcpt string, n int64) error {
	if err := s.Mail("sender@here.test"); err != nil {
		return err
	}
	if err := s.Rcpt(rcpt); err != nil {
		return err
	}
	w, err := s.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "Subject: "+rcpt+"\r\n\r\n"+crashBody(n)); err != nil {
		return err
	}
	return w.Close()
}

// finish lets the queues run empty and counts.
func (c *crash) finish(kills int) {
	p, addrs := c.start()
	for _, queue := range []string{"spool", "outgoing"} {
		if err := poll(func() error { return c.empty(addrs["webadmin"], queue) }); err != nil {
			c.t.Errorf("%v\n%s", err, p.logText())
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Error(err)
	}
	<-p.done
	arrived := c.arrived()
	lost, twice := 0, 0
	for rcpt := range c.accepted {
		switch n := arrived[rcpt]; {
		case n == 0:
			lost++
			c.t.Errorf("%s was accepted and did not arrive", rcpt)
		case n > 1:
			twice += n - 1
			if strings.HasSuffix(rcpt, "@here.test") {
				c.t.Errorf("%s is in its Maildir %d times", rcpt, n)
			}
		}
	}
	if len(c.accepted) < kills {
		c.t.Errorf("only %d messages were accepted in %d rounds", len(c.accepted), kills)
	}
	c.t.Logf("%d kills, %d messages accepted, %d arrived, %d lost, %d duplicates", kills, len(c.accepted), len(arrived), lost, twice)
}

func (c *crash) empty(addr, queue string) error {
	res, err := http.Get("http://" + addr + "/mailQueues/" + queue)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var q struct{ Size int }
	if err := json.NewDecoder(res.Body).Decode(&q); err != nil {
		return err
	}
	if q.Size != 0 {
		return fmt.Errorf("queue %s still has %d mails", queue, q.Size)
	}
	return nil
}

var subject = regexp.MustCompile(`(?m)^Subject: (m([0-9]+)@\S+)\r$`)

// arrived counts the messages by recipient, those that arrived whole.
func (c *crash) arrived() map[string]int {
	count := map[string]int{}
	for _, tr := range c.hop.Transactions() {
		c.count(count, tr.Data)
	}
	names, err := filepath.Glob(filepath.Join(c.dir, "data", "mail", "here.test", "*", "new", "*"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			c.t.Fatal(err)
		}
		c.count(count, data)
	}
	return count
}

func (c *crash) count(count map[string]int, data []byte) {
	m := subject.FindSubmatch(data)
	if m == nil {
		c.t.Errorf("a message without its subject arrived: %.200q", data)
		return
	}
	n, err := strconv.ParseInt(string(m[2]), 10, 64)
	if err != nil || !bytes.HasSuffix(data, []byte("\r\n\r\n"+crashBody(n))) {
		c.t.Errorf("%s arrived damaged, %d octets", m[1], len(data))
		return
	}
	count[string(m[1])]++
}
