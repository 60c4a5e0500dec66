package mailets

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/metrics"
)

func TestHandOverParameters(t *testing.T) {
	for _, tc := range []struct{ class, params, want string }{
		{"Pipe", "", "error: <program> is required"},
		{"Pipe", "<program>cat</program>", `error: <program>: "cat" is not an absolute path`},
		{"Pipe", "<program>/bin/cat</program><directory>x</directory>", `error: <directory>: "x" is not an absolute path`},
		{"Pipe", "<program>/bin/cat</program><argument>{rcpt}</argument>", "error: <argument>: {rcpt} stands for nothing"},
		{"Pipe", "<program>/bin/cat</program><environment>X</environment>", "error: <environment>: "},
		{"Pipe", "<program>/bin/cat</program><environment>RECIPIENT=x</environment>", "error: <environment>: RECIPIENT is set for each mail"},
		{"Pipe", "<program>/bin/cat</program><timeout>0</timeout>", "error: <timeout>: there must be"},
		{"Pipe", "<program>/bin/cat</program><timeout>soon</timeout>", "error: <timeout>: "},
		{"Pipe", "<program>/bin/cat</program><concurrency>0</concurrency>", "error: <concurrency>: want at least 1"},
		{"Pipe", "<program>/bin/cat</program><maxRetries>-1</maxRetries>", "error: <maxRetries>: "},
		{"Pipe", "<program>/bin/cat</program><maxRetries>many</maxRetries>", `error: <maxRetries> is "many"`},
		{"Pipe", "<program>/bin/cat</program><delayTime>5*1s, soon</delayTime>", "warning: delayTime: "},
		{"Pipe", "<program>/bin/cat</program><onTemporary>t</onTemporary><maxRetries>1</maxRetries>", "warning: with <onTemporary> there are no retries"},
		{"Pipe", "<program>/bin/cat</program><onFailure>ghost</onFailure>", "warning: mail of failed recipients is dropped"},
		{"Pipe", "<program>/bin/cat</program><arguments>x</arguments>", "warning: <arguments> is not a parameter of Pipe; ignored (did you mean \"argument\"?)"},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestHandOverPlan(t *testing.T) {
	for params, want := range map[string][]time.Duration{
		"":                                  {time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour},
		"<maxRetries>0</maxRetries>":        nil,
		"<maxRetries>2</maxRetries>":        {time.Minute, 5 * time.Minute},
		"<maxRetries>6</maxRetries>":        {time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 6 * time.Hour},
		"<delayTime>2 * 3s, 1h</delayTime>": {3 * time.Second, 3 * time.Second, time.Hour, time.Hour, time.Hour},
		"<delayTime>500</delayTime><maxRetries>1</maxRetries>": {500 * time.Millisecond},
	} {
		x := mustLoad(t, testRegistry(t), "Pipe", "<program>/bin/cat</program>"+params).(*Pipe)
		var got []time.Duration
		for n := 1; n <= x.policy.Retries; n++ {
			got = append(got, x.policy.Delay(n))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", params, got, want)
		}
	}
}

// The program refuses one recipient, puts off another and takes the third.
func TestPipe(t *testing.T) {
	s := testServices(t)
	s.Metrics = metrics.New()
	r := container.NewRegistry()
	Register(r, s)
	dir := t.TempDir()
	x := mustLoad(t, r, "com.github.mailetd.Pipe", `<program>/bin/sh</program><argument>-c</argument>
		<argument>cat >"$1"; echo "$ORIGINAL_RECIPIENT," "$2"; case $1 in bob) exit 0;; gone) exit 67;; *) exit 75;; esac</argument>
		<argument>sh</argument><argument>{user}</argument><argument>a, b</argument><consume>false</consume>
		<directory>`+dir+`</directory><onFailure>refused</onFailure>`)
	m := testMail("bob@example.com", "gone@example.com", "late@example.com", "-x@example.com")
	m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@example.com": "old+2Bname@example.net"})
	whole := text(t, m)
	out := serve(t, x, m)
	if got, err := os.ReadFile(filepath.Join(dir, "bob")); err != nil || string(got) != whole {
		t.Errorf("got %q, %v", got, err)
	}
	o, _ := m.Outcome(m.Recipients[0])
	if m.State != "root" || len(m.Recipients) != 1 || o.Result != container.Delivered || o.Text != "sh: exit status 0: old+name@example.net, a, b" {
		t.Errorf("state %s, %v, outcome %+v", m.State, m.Recipients, o)
	}
	if out.Len() != 2 {
		t.Fatalf("sent %d mails", out.Len())
	}
	refused, late := out.Entries()[0], out.Entries()[1]
	if got := container.AddressStrings(refused.Mail.Recipients); refused.Mail.State != "refused" || !slices.Equal(got, []string{"gone@example.com", "-x@example.com"}) {
		t.Errorf("refused: %s, %v", refused.Mail.State, got)
	}
	o, _ = refused.Mail.Outcome(container.MustAddress("-x@example.com"))
	if o.Enhanced != "5.1.3" || !strings.Contains(o.Text, "would be taken for an option") {
		t.Errorf("outcome %+v", o)
	}
	if late.Mail.State != "root" || late.Delay != time.Minute || late.Mail.Recipients[0].Local != "late" {
		t.Errorf("late: %s after %s", late.Mail.State, late.Delay)
	}
	for name, want := range map[string]float64{"delivered": 1, "failed": 2, "deferred": 1} {
		if got := counter(t, s.Metrics, "mailetd_pipe_"+name+"_total"); got != want {
			t.Errorf("counted %v %s", got, name)
		}
	}
	if got := x.(container.StateReferrer).ReferredStates(); !slices.Equal(got, []string{"refused"}) {
		t.Errorf("refers to %v", got)
	}
}

// Two programs that differ in their environment alone count their attempts apart.
func TestPipesCountApart(t *testing.T) {
	const program = "<program>/bin/sh</program><argument>-c</argument><argument>exit $S</argument>"
	a := mustLoad(t, testRegistry(t), "Pipe", program+"<environment>S=0</environment><consume>false</consume>")
	b := mustLoad(t, testRegistry(t), "Pipe", program+"<environment>S=75</environment><maxRetries>1</maxRetries>")
	m := testMail("bob@example.com")
	for _, want := range []string{"root", "error"} {
		serve(t, a, m)
		if m = serve(t, b, m).Entries()[0].Mail; m.State != want {
			t.Errorf("state %s, want %s", m.State, want)
		}
	}
}
