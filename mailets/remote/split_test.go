package remote

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// A mail to very many domains, each recipient with DSN parameters, takes memory
// in proportion to the mail: every copy has the parameters of its own recipients
// only.
func TestSplitTakesLinearMemory(t *testing.T) {
	const n = 5000
	notify := map[string]container.Value{}
	var to []container.Address
	for i := range n {
		a := container.Address{Local: "u", Domain: fmt.Sprintf("d%d.test", i)}
		to = append(to, a)
		notify[a.String()] = "SUCCESS,FAILURE"
	}
	m := container.NewMail(container.MustAddress("s@x.test"), to, container.NewMessage(nil, nil))
	m.Set(container.AttrDSNNotify, notify)
	in := NewGroup(Services{}).Add(Config{Queue: "outgoing"})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out := in.Split(m)
	runtime.ReadMemStats(&after)
	if len(out) != n {
		t.Fatalf("%d entries, want %d", len(out), n)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 100<<20 {
		t.Errorf("splitting took %d MiB", used>>20)
	}
	for _, e := range out {
		all, _ := e.Mail.Attributes.Map(container.AttrDSNNotify)
		if len(all) != 1 || len(e.Mail.Recipients) != 1 {
			t.Fatalf("%s: %d parameters, %d recipients", e.Mail.Name, len(all), len(e.Mail.Recipients))
		}
	}
}
