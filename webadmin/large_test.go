package webadmin_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// BenchmarkLargeRepository asks for parts of a large repository, over HTTP:
//
//	WEBADMIN_TEST_MAILS=1000000 go test ./webadmin -run - -bench LargeRepository -timeout 30m
func BenchmarkLargeRepository(b *testing.B) {
	mails := 20_000
	if n, err := strconv.Atoi(os.Getenv("WEBADMIN_TEST_MAILS")); err == nil {
		mails = n
	}
	w := newWorld(b)
	u, _ := repository.ParseURL("file://var/mail/large")
	w.fillFast(u, mails)
	web := httptest.NewServer(w.web)
	defer web.Close()
	const path = "/mailRepositories/var%2Fmail%2Flarge"
	for _, bc := range []struct{ name, target string }{
		{"first page", path + "/mails?limit=100"},
		{"last page", fmt.Sprintf("%s/mails?limit=100&offset=%d", path, mails-100)},
		{"size", path},
		{"size of the spool", "/mailQueues/spool"},
		{"everything", path + "/mails"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			var peak int64
			for b.Loop() {
				peak = max(peak, heapDuring(func() { fetch(b, web.URL+bc.target) }))
			}
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		})
	}
	b.Run("reprocessing", func(b *testing.B) {
		for b.Loop() {
			w.task("PATCH", path+"/mails?action=reprocess&processor=relay&consume=false&limit=10000")
		}
		b.ReportMetric(10_000*float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	})
}

func fetch(b *testing.B, url string) {
	r, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Body.Close()
	if n, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusOK || n == 0 {
		b.Fatalf("%s: got %d, %d octets, %v", url, r.StatusCode, n, err)
	}
}

// heapDuring returns by how much the heap grew while f ran, with the garbage that
// was not collected.
func heapDuring(f func()) int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, peak := int64(m.HeapAlloc), int64(0)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				peak = max(peak, int64(m.HeapAlloc)-before)
			}
		}
	})
	f()
	close(done)
	wg.Wait()
	return peak
}

// fillFast puts n mails into the repository u, many in one change.
func (w *world) fillFast(u repository.URL, n int) {
	w.t.Helper()
	if err := w.store.CreateRepository(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < n; i += 1000 {
		var c repository.Change
		for j := i; j < min(n, i+1000); j++ {
			m := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
				container.ParseMessage([]byte("Subject: x\r\n\r\nbody\r\n")))
			m.Name = fmt.Sprintf("mail-%07d", j)
			c.Entries = append(c.Entries, container.Entry{Mail: m, Repository: u.String()})
		}
		if err := w.store.Commit(w.t.Context(), c); err != nil {
			w.t.Fatal(err)
		}
	}
}
