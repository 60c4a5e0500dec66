package cmd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakContainer drops every mail after the spool.
const soakContainer = `<mailetcontainer>
  <spooler><threads>2</threads></spooler>
  <processors>
    <processor state="root"><mailet match="All" class="Null"/></processor>
    <processor state="error"><mailet match="All" class="Null"/></processor>
  </processors>
</mailetcontainer>`

// startSoak starts a server process that takes mail and drops it.
func startSoak(b *testing.B, smtp string) (p *process, addr string) {
	b.Helper()
	dir := b.TempDir()
	for name, text := range map[string]string{
		"mailetcontainer.xml": soakContainer,
		"smtpserver.xml":      smtp,
		"domainlist.xml":      `<domainlist><defaultDomain>here.test</defaultDomain></domainlist>`,
		"webadmin.properties": "enabled=false\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	p, addrs, err := startProcess(exec.Command("mailetd", "serve", "-conf", dir, "-data", filepath.Join(dir, "data")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.kill)
	return p, addrs["smtp"]
}

// rss returns the resident memory of a process in megabytes.
func (p *process) rss() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest + " 0")[0], 64)
	return kb / 1024
}

// soakClient is one connection.
type soakClient struct {
	nc net.Conn
	br *bufio.Reader
}

func dialSoak(addr string) (*soakClient, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &soakClient{nc, bufio.NewReaderSize(nc, 512)}
	if err := c.expect("220"); err != nil {
		return nil, err
	}
	return c, c.say("EHLO client.test\r\n", "250")
}

// expect reads a reply for each code.
func (c *soakClient) expect(codes ...string) error {
	for _, code := range codes {
		line, err := readReply(c.br)
		if err != nil || !strings.HasPrefix(line, code) {
			return fmt.Errorf("reply %q, want %s: %w", line, code, err)
		}
	}
	return nil
}

func (c *soakClient) say(text string, codes ...string) error {
	if err := c.nc.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.nc, text); err != nil {
		return err
	}
	return c.expect(codes...)
}

// mail hands in one message.
func (c *soakClient) mail(content string) error {
	if err := c.say("MAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n", "250", "250", "354"); err != nil {
		return err
	}
	return c.say(content, "250")
}

// soakMessage has 4 kB.
var soakMessage = "From: a@far.test\r\nSubject: soak\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 50) + ".\r\n"

// share lets clients hand in n messages between them; each of them calls at with
// the number of messages that are done.
func share(b *testing.B, clients []*soakClient, n int, at func(done int)) {
	b.Helper()
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := c.mail(soakMessage); err != nil {
					b.Error(err)
					return
				}
				at(int(done.Add(1)))
			}
		})
	}
	wg.Wait()
}

func connectSoak(b *testing.B, addr string, n int) []*soakClient {
	b.Helper()
	clients := make([]*soakClient, n)
	for i := range clients {
		c, err := dialSoak(addr)
		if err != nil {
			b.Fatal(err)
		}
		clients[i] = c
		b.Cleanup(func() { c.nc.Close() })
	}
	return clients
}

const soakSMTP = `<smtpservers><smtpserver><bind>127.0.0.1:0</bind><authorizedAddresses>127.0.0.0/8</authorizedAddresses>
  <verifyIdentity>disabled</verifyIdentity><handlerchain/></smtpserver></smtpservers>`

// BenchmarkSoak hands in messages over 1000 connections that stay open, and tells
// the memory of the server process after a tenth, half and all of them:
//
//	go test ./cmd -run '^$' -bench Soak -benchtime 100000x
func BenchmarkSoak(b *testing.B) {
	p, addr := startSoak(b, soakSMTP)
	clients := connectSoak(b, addr, 1000)
	memory := [4]float64{p.rss()}
	b.ResetTimer()
	share(b, clients, b.N, func(done int) {
		switch done {
		case b.N / 10:
			memory[1] = p.rss()
		case b.N / 2:
			memory[2] = p.rss()
		case b.N:
			memory[3] = p.rss()
		}
	})
	for i, unit := range []string{"MB-idle", "MB-at-10%", "MB-at-50%", "MB-at-end"} {
		b.ReportMetric(memory[i], unit)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkSlowClients hands in messages over 20 connections, alone and beside
// 2000 connections that send one octet every ten seconds:
//
//	go test ./cmd -run '^$' -bench SlowClients -benchtime 20000x
func BenchmarkSlowClients(b *testing.B) {
	for _, slow := range []int{0, 2000} {
		b.Run(fmt.Sprintf("slow=%d", slow), func(b *testing.B) {
			p, addr := startSoak(b, soakSMTP)
			attackers := make([]net.Conn, slow)
			for i := range attackers {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				attackers[i] = nc
				b.Cleanup(func() { nc.Close() })
			}
			end := make(chan struct{})
			var attack sync.WaitGroup
			attack.Go(func() {
				tick := time.NewTicker(10 * time.Second)
				defer tick.Stop()
				for {
					for _, nc := range attackers {
						_, _ = nc.Write([]byte("N")) // the server may have had enough
					}
					select {
					case <-tick.C:
					case <-end:
						return
					}
				}
			})
			clients := connectSoak(b, addr, 20)
			b.ResetTimer()
			share(b, clients, b.N, func(int) {})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
			b.ReportMetric(p.rss(), "MB")
			close(end)
			attack.Wait()
		})
	}
}
