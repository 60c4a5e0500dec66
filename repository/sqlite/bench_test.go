package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured runs f and reports CPU time per operation.
func measured(b *testing.B, s *Store, f func()) {
	b.ReportAllocs()
	commits, start := s.Stats().Commits, cpuTime()
	b.ResetTimer()
	f()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(s.Stats().Commits-commits)/float64(b.N), "commits/op")
}

func benchMail(s *Store, content []byte, n int) (*container.Mail, error) {
	w := s.NewBody()
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	body, err := w.Finish()
	if err != nil {
		return nil, err
	}
	m := container.NewMail(container.MustAddress("alice@here.example"), []container.Address{container.MustAddress("bob@there.example")},
		container.NewMessage([]byte("Received: from here.example by there.example;\r\n\tFri, 20 Nov 2026 12:00:00 +0000\r\nSubject: benchmark\r\nFrom: alice@here.example\r\nTo: bob@there.example\r\n"), body))
	m.Set(container.AttrSMTPSessionID, "session-1")
	m.Set(container.AttrHELO, "here.example")
	m.Set(container.AttrSMTPIsAuthNetwork, true)
	return m, nil
}

// BenchmarkCommit is what a 250 waits for, one after the other.
func BenchmarkCommit(b *testing.B) {
	s := openTest(b, b.TempDir())
	content := bytes.Repeat([]byte("0123456789abcdef0123456789abcdef0123456789abcdef\r\n"), 200)
	measured(b, s, func() {
		for i := range b.N {
			m, err := benchMail(s, content, i)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// pipe is a consumer that moves what it gets on to the next queue, or is done
// with it.
type pipe struct {
	s     *Store
	to    string
	items chan *repository.Item
	under chan struct{} // one for each mail under way: what is refused waits for a Lease, and here nobody leases
	done  *sync.WaitGroup
	fail  func(error)
}

func (p *pipe) Reserve(string) bool        { return true }
func (p *pipe) Unreserve(string)           {}
func (p *pipe) Accept(it *repository.Item) { p.items <- it }
func (p *pipe) Wake()                      {}
func (p *pipe) finished(err error)         { p.check(err); <-p.under; p.done.Done() }
func (p *pipe) check(err error) {
	if err != nil {
		p.fail(err)
	}
}

func (p *pipe) run() {
	for it := range p.items {
		c := repository.Change{Done: it}
		if p.to == "" {
			p.s.CommitAsync(c, p.finished)
			continue
		}
		c.Entries = []container.Entry{{Mail: it.Mail, Queue: p.to, Destination: "there.example"}}
		p.check(p.s.Commit(context.Background(), c))
	}
}

// BenchmarkRelay takes 10 kB mails through spool, outgoing and done.
func BenchmarkRelay(b *testing.B) {
	content := bytes.Repeat([]byte("0123456789abcdef0123456789abcdef0123456789abcdef\r\n"), 200)
	for _, workers := range []int{20, 100} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			s := openTest(b, b.TempDir())
			var mails, workersDone sync.WaitGroup
			under := make(chan struct{}, 1000)
			spool := &pipe{s: s, to: "outgoing", items: make(chan *repository.Item, cap(under)), done: &mails, fail: func(err error) { b.Error(err) }}
			out := &pipe{s: s, items: make(chan *repository.Item, cap(under)), under: under, done: &mails, fail: func(err error) { b.Error(err) }}
			s.Consume("spool", spool)
			s.Consume("outgoing", out)
			for range 8 {
				workersDone.Go(spool.run)
				workersDone.Go(out.run)
			}
			measured(b, s, func() {
				mails.Add(b.N)
				var clients sync.WaitGroup
				for k := range workers {
					clients.Go(func() {
						for i := k; i < b.N; i += workers {
							under <- struct{}{}
							m, err := benchMail(s, content, i)
							if err == nil {
								err = s.Commit(context.Background(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}})
							}
							if err != nil {
								b.Error(err)
							}
						}
					})
				}
				clients.Wait()
				mails.Wait()
			})
			close(spool.items)
			close(out.items)
			workersDone.Wait()
		})
	}
}
