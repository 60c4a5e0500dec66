package cmd

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	state := func(status string, initial, remaining int64) taskState {
		s := taskState{Type: "clear", Status: status}
		s.Info.Initial, s.Info.Remaining = initial, remaining
		return s
	}
	for _, tc := range []struct {
		state taskState
		want  string
	}{
		{state("waiting", 0, 0), "clear waiting"},
		{state("inProgress", 100, 100), "clear inProgress [                              ] 0/100"},
		{state("inProgress", 100, 75), "clear inProgress [=======                       ] 25/100, 30s left"},
		{state("completed", 100, 0), "clear completed [==============================] 100/100"},
		{state("completed", 100, -5), "clear completed [==============================] 100/100"},
		{state("inProgress", 100, 200), "clear inProgress [                              ] 0/100"},
	} {
		if got := progress(tc.state, 10*time.Second); got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

func TestShow(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		columns      []string
		json         bool
		want         string
	}{
		{"nothing", "", nil, false, ""},
		{"texts", `["a","b"]`, nil, false, "a\nb\n"},
		{"empty list", `[]`, nil, false, ""},
		{"empty table", `[]`, []string{"name"}, false, "NAME\n"},
		{"table", `[{"name":"a","nextDelivery":null,"recipients":["x","y"]}]`, []string{"name", "nextDelivery", "recipients"}, false,
			"NAME  NEXT DELIVERY  RECIPIENTS\na     -              x y\n"},
		{"object", `{"b":1,"a":{"y":[1,2],"x":true},"c":{"d":{"e":1}}}`, nil, false, "a.x  true\na.y  1 2\nb    1\nc.d  {\"e\":1}\n"},
		{"bare text", "5\n", nil, false, "5\n"},
		{"hostile to a terminal", `["\u001b[2J\u009b1m"]`, nil, false, "?[2J?1m\n"},
		{"hostile object", `{"\u001b":"\u0007"}`, nil, false, "?  ?\n"},
		{"json", `{"a":1}`, nil, true, "{\"a\":1}\n"},
	} {
		var out bytes.Buffer
		a := &admin{p: &program{stdout: &out}, json: tc.json}
		if err := a.show(strings.NewReader(tc.answer), tc.columns); err != nil || out.String() != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.name, out.String(), err, tc.want)
		}
	}
	a := &admin{p: &program{stdout: &bytes.Buffer{}}}
	if err := a.show(strings.NewReader(`["a"`), nil); err == nil {
		t.Error("an answer that was cut off is shown as if it were whole")
	}
}

func TestFill(t *testing.T) {
	for _, tc := range []struct {
		template string
		operands []string
		want     string
	}{
		{"/a/{0}/mails/{1}", []string{"var/mail"}, "/a/<var/mail>/mails"},
		{"/a/{0}/mails/{1}", []string{"x", "k"}, "/a/<x>/mails/<k>"},
		{"{0} {1}", []string{"{1}", "{0}"}, "<{1}> <{0}>"},
	} {
		if got := fill(tc.template, tc.operands, func(s string) string { return "<" + s + ">" }); got != tc.want {
			t.Errorf("fill %q %q: got %q, want %q", tc.template, tc.operands, got, tc.want)
		}
	}
}
