package cmd

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// TestLookingCostsLittle: however many look at the metrics, the store is asked now
// and then.
func TestLookingCostsLittle(t *testing.T) {
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(t.Context())
	put := func() {
		t.Helper()
		m := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
			container.ParseMessage([]byte("Subject: x\r\n\r\nbody\r\n")))
		if err := store.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}}); err != nil {
			t.Fatal(err)
		}
	}
	c := &storeCollector{store: store}
	set := prometheus.NewPedanticRegistry()
	set.MustRegister(c)
	ready := func() (n float64) {
		families, err := set.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == "mailetd_queue_mails" && label(m, "state") == "ready" {
					n += m.GetGauge().GetValue()
				}
			}
		}
		return n
	}
	put()
	if got := ready(); got != 1 {
		t.Errorf("got %g mails, want 1", got)
	}
	put()
	c.until = c.until.Add(time.Hour) // however slow this machine is
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := ready(); got != 1 {
				t.Errorf("got %g mails, want 1 as before", got)
			}
		})
	}
	wg.Wait()
	c.until = time.Time{}
	if got := ready(); got != 2 {
		t.Errorf("got %g mails later, want 2", got)
	}
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
