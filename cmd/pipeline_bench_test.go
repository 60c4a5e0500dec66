package cmd

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/engine"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/mailets"
	"github.com/mailetd/mailetd/matchers"
	"github.com/mailetd/mailetd/repository"
)

// stockPipeline is the built-in pipeline without store, resolver and disk.
func stockPipeline(t testing.TB) *engine.Pipeline {
	t.Helper()
	var r conf.Report
	dir := conf.Open("", conf.Options{Data: t.TempDir()}, &r)
	directory, _ := localtest.Directory(t, []string{"here.test"}, "bob@here.test")
	reg := container.NewRegistry()
	matchers.Register(reg, matchers.Services{Local: directory, DNS: struct{ dns.Resolver }{}})
	mailets.Register(reg, mailets.Services{Hostname: "mx.here.test", DefaultDomain: "here.test", MailDir: t.TempDir(),
		Postmaster: container.MustAddress("postmaster@here.test"), Local: directory, DNS: struct{ dns.Resolver }{}, Queues: struct{ repository.Queues }{}})
	p := engine.Build(dir.MailetContainer(), reg, slog.New(slog.DiscardHandler), &r)
	if len(r.Problems()) > 0 {
		t.Fatal(r.Problems())
	}
	return p
}

// pipelineMails are the mails of the benchmark, with the number of entries of the
// outbox in the end.
var pipelineMails = []struct {
	name    string
	rcpts   []string
	network bool // from a network that may relay
	entries int
}{
	{"relay", []string{"a@far.test"}, true, 1},
	{"relay to ten hosts", []string{"a@h0.test", "a@h1.test", "a@h2.test", "a@h3.test", "a@h4.test", "a@h5.test", "a@h6.test", "a@h7.test", "a@h8.test", "a@h9.test"}, true, 10},
	{"relay denied", []string{"a@far.test"}, false, 1},
	{"no such user", []string{"nobody@here.test"}, false, 2},
	{"relay, bounce and postmaster", []string{"a@far.test", "nobody@here.test", "abuse@here.test"}, true, 4},
}

func pipelineMail(rcpts []string, network bool, size int) *container.Mail {
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r))
	}
	header := "Return-Path: <ann@far.test>\r\nReceived: from client.far.test (client.far.test [192.0.2.1])\r\n\tby mx.here.test (mailetd) with ESMTP id 0123456789\r\n\tfor <a@far.test>;\r\n\tFri, 01 Jan 2027 12:00:00 +0000\r\n" +
		"From: Ann <ann@far.test>\r\nTo: somebody\r\nSubject: hello\r\nMessage-ID: <1@far.test>\r\nDate: Fri, 01 Jan 2027 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
	line := "Some words on a line, of the usual length, more or less.\r\n"
	m := container.NewMail(container.MustAddress("ann@far.test"), list, container.NewMessage([]byte(header), container.BytesBody(strings.Repeat(line, size/len(line)))))
	if network {
		m.Set(container.AttrSMTPIsAuthNetwork, true)
	}
	return m
}

// The mails of the benchmark end where they should.
func TestStockPipeline(t *testing.T) {
	p := stockPipeline(t)
	for _, tc := range pipelineMails {
		var out container.Outbox
		if err := p.Engine.Run(t.Context(), pipelineMail(tc.rcpts, tc.network, 1000), &out); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		var got []string
		for _, e := range out.Entries() {
			got = append(got, fmt.Sprintf("%s%s %s", e.Queue, e.Repository, e.Mail.State))
		}
		if len(got) != tc.entries {
			t.Errorf("%s: %d entries, want %d: %q", tc.name, len(got), tc.entries, got)
		}
	}
}

// BenchmarkPipeline shows what the processors of the built-in configuration cost
// for one mail, of 10 kB and 10 MB, without any I/O.
func BenchmarkPipeline(b *testing.B) {
	p := stockPipeline(b)
	for _, tc := range pipelineMails {
		for _, size := range []struct {
			name string
			n    int
		}{{"10kB", 10 << 10}, {"10MB", 10 << 20}} {
			b.Run(tc.name+"/"+size.name, func(b *testing.B) {
				before := pipelineMail(tc.rcpts, tc.network, size.n)
				b.ReportAllocs()
				for b.Loop() {
					if err := p.Engine.Run(b.Context(), before.Clone(), &container.Outbox{}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
			})
		}
	}
}
