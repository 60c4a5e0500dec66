package cmd

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// idleConnections is how many connections the benchmark has open at once: both
// processes need as many file descriptors.
const idleConnections = 9500

// BenchmarkIdleConnections opens connections to a server process, brings each to
// a certain state and reports by how much the memory of the process has grown, in
// kB for each. Linux only; run it with -benchtime 1x.
func BenchmarkIdleConnections(b *testing.B) {
	for _, state := range []struct {
		name string
		tls  bool
		said string // with a reply to each line, and one to the message
	}{
		{"greeted", false, "EHLO client.test\r\n"},
		{"in-a-transaction", false, "EHLO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<postmaster@here.test>\r\n"},
		{"after-a-message", false, "HELO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<postmaster@here.test>\r\nDATA\r\n" +
			"Subject: x\r\n\r\n" + strings.Repeat("some words on a line\r\n", 500) + ".\r\n"},
		{"tls", true, "EHLO client.test\r\n"},
	} {
		b.Run(state.name, func(b *testing.B) {
			for b.Loop() {
				p, addr := idleServer(b, state.tls)
				measureIdle(b, p, addr, state.tls, state.said)
			}
		})
	}
}

// idleServer starts this test binary as mailetd.
func idleServer(b *testing.B, withTLS bool) (*process, string) {
	b.Helper()
	dir := b.TempDir()
	element := ""
	if withTLS {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		check(b, err)
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx.here.test"}}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
		check(b, err)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		check(b, err)
		check(b, os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
		check(b, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
		element = `<tls socketTLS="true"><privateKey>file://conf/key.pem</privateKey><certificates>file://conf/cert.pem</certificates></tls>`
	}
	check(b, os.WriteFile(filepath.Join(dir, "domainlist.xml"), []byte(`<domainlist><defaultDomain>here.test</defaultDomain></domainlist>`), 0o600))
	check(b, os.WriteFile(filepath.Join(dir, "smtpserver.xml"), []byte(`<smtpservers><smtpserver><bind>127.0.0.1:0</bind><verifyIdentity>disabled</verifyIdentity>`+element+`<handlerchain/></smtpserver></smtpservers>`), 0o600))
	check(b, os.WriteFile(filepath.Join(dir, "mailetcontainer.xml"), []byte(`<mailetcontainer><processors><processor state="root"><mailet match="All" class="Null"/></processor>`+
		`<processor state="error"><mailet match="All" class="Null"/></processor></processors></mailetcontainer>`), 0o600))
	check(b, os.WriteFile(filepath.Join(dir, "webadmin.properties"), []byte("enabled=false\n"), 0o600))
	self, err := os.Executable()
	check(b, err)
	p, addrs, err := startProcess(&exec.Cmd{Path: self, Args: []string{"mailetd", "serve", "-conf", dir, "-data", filepath.Join(dir, "data")}})
	check(b, err)
	b.Cleanup(p.kill)
	return p, addrs["smtp"]
}

func measureIdle(b *testing.B, p *process, addr string, withTLS bool, said string) {
	b.Helper()
	open := func() net.Conn {
		nc, err := net.Dial("tcp", addr)
		check(b, err)
		if withTLS {
			nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		}
		converse(b, nc, said)
		return nc
	}
	open().Close() // what the first client needs is no matter of the thousandth
	before := residentSize(b, p.cmd.Process.Pid)
	conns := make([]net.Conn, idleConnections)
	for i := range conns {
		conns[i] = open()
	}
	after := residentSize(b, p.cmd.Process.Pid)
	b.ReportMetric(float64(after-before)/idleConnections, "kB/conn")
	b.ReportMetric(0, "ns/op")
	for _, nc := range conns {
		nc.Close()
	}
}

// converse says the lines one after the other.
func converse(b *testing.B, nc net.Conn, said string) {
	b.Helper()
	r := bufio.NewReaderSize(nc, 512)
	_, err := readReply(r)
	check(b, err)
	head, message, data := strings.Cut(said, "DATA\r\n")
	steps := strings.SplitAfter(head, "\r\n")
	steps = steps[:len(steps)-1]
	if data {
		steps = append(steps, "DATA\r\n", message)
	}
	for _, s := range steps {
		_, err := io.WriteString(nc, s)
		check(b, err)
		reply, err := readReply(r)
		check(b, err)
		if reply[0] != '2' && reply[0] != '3' {
			b.Fatalf("%.40q was answered %q", s, reply)
		}
	}
}

// residentSize returns the kB of memory that a process has.
func residentSize(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(b, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	check(b, err)
	return n
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
