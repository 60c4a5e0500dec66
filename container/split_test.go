package container_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/mailetd/mailetd/container"
)

func TestCloneFor(t *testing.T) {
	a, b, c := container.MustAddress("A@x.test"), container.MustAddress("b@x.test"), container.MustAddress("c@y.test")
	m := container.NewMail(container.MustAddress("s@x.test"), []container.Address{a, b, c}, container.NewMessage([]byte("Subject: x\r\n"), nil))
	m.Set(container.AttrDSNEnvID, "id")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"a@X.test": "NEVER", "c@y.test": "SUCCESS", "gone@x.test": "DELAY"})
	m.SetOutcome(c, container.Outcome{Result: container.Deferred})
	m.AddRecipientHeader(a, "X", "1")
	m.AddRecipientHeader(c, "X", "2")
	want := m.Clone()

	got := m.CloneFor([][]container.Address{{a, b}, {c}, nil})
	if len(got) != 3 || len(got[2].Recipients) != 0 {
		t.Fatalf("got %v", got)
	}
	ab, cc := got[0], got[1]
	if !reflect.DeepEqual(ab.Recipients, []container.Address{a, b}) || !reflect.DeepEqual(cc.Recipients, []container.Address{c}) ||
		ab.Name != m.Name || ab.ID != m.ID || string(ab.Message.Header()) != "Subject: x\r\n" {
		t.Errorf("got %+v and %+v", ab, cc)
	}
	if !reflect.DeepEqual(ab.Attributes, container.Attributes{container.AttrDSNEnvID: "id", container.AttrDSNNotify: map[string]container.Value{"a@X.test": "NEVER"}}) {
		t.Errorf("attributes of the first: %v", ab.Attributes)
	}
	if s, _ := cc.Attributes.RecipientString(container.AttrDSNNotify, c); s != "SUCCESS" {
		t.Errorf("NOTIFY of the second is %q", s)
	}
	if o, ok := cc.Outcome(c); !ok || o.Result != container.Deferred {
		t.Errorf("outcome of the second is %+v", o)
	}
	if len(ab.RecipientHeaders) != 1 || len(cc.RecipientHeaders) != 1 || ab.RecipientHeaders[a.Key()][0].Value != "1" {
		t.Errorf("headers %v and %v", ab.RecipientHeaders, cc.RecipientHeaders)
	}
	ab.Set("new", true)
	cc.AddRecipientHeader(c, "Y", "3")
	cc.SetOutcome(c, container.Outcome{Result: container.Failed})
	if !reflect.DeepEqual(m, want) {
		t.Error("a change of a copy shows in the mail")
	}
}

// BenchmarkCloneFor: the cost of a copy does not grow with their number.
func BenchmarkCloneFor(b *testing.B) {
	for _, n := range []int{100, 10000} {
		m := container.NewMail(container.MustAddress("s@x.test"), nil, container.NewMessage(nil, nil))
		notify := map[string]container.Value{}
		var groups [][]container.Address
		for i := range n {
			a := container.MustAddress(fmt.Sprintf("u@d%d.test", i))
			m.Recipients = append(m.Recipients, a)
			groups = append(groups, []container.Address{a})
			notify[a.String()] = "FAILURE"
		}
		m.Set(container.AttrDSNNotify, notify)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.CloneFor(groups)
			}
		})
	}
}
