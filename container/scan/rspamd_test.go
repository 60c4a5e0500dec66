package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func TestRspamd(t *testing.T) {
	for _, tc := range []struct {
		name, answer, err string
		status            int
		want              Analysis
	}{
		{name: "ham", answer: `{"action":"no action","score":-1.5,"required_score":15,"symbols":{}}`, want: Analysis{Action: ActionNone, Score: -1.5, Required: 15}},
		{name: "subject", answer: `{"action":"rewrite subject","score":8,"required_score":15,"subject":"*** SPAM","unknown":[1]}`,
			want: Analysis{Action: ActionRewriteSubject, Score: 8, Required: 15, Subject: "*** SPAM"}},
		{name: "virus", answer: `{"action":"reject","score":0,"required_score":15,"symbols":{"CLAM_VIRUS":{"name":"CLAM_VIRUS","options":["Eicar"]},"X":{}}}`,
			want: Analysis{Action: ActionReject, Required: 15, Virus: `{"name":"CLAM_VIRUS","options":["Eicar"]}`}},
		{name: "unknown action", answer: `{"action":"explode"}`, err: `"explode"`},
		{name: "no action", answer: `{}`, err: "unknown action"},
		{name: "no JSON", answer: `<html>`, err: "no result"},
		{name: "empty", answer: ``, err: "no result"},
		{name: "status", status: 403, answer: "{\"error\":\n\"Unauthorized\"}", err: `403 Forbidden: {"error": "Unauthorized"}`},
		{name: "redirect", status: 302, answer: ``, err: "302"},
		{name: "endless", answer: strings.Repeat(" ", maxJSON+10), err: "more than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data, err := io.ReadAll(r.Body)
				if err != nil || string(data) != "Subject: x\r\n\r\nHi.\r\n" || r.ContentLength != int64(len(data)) {
					t.Errorf("body %q, length %d, %v", data, r.ContentLength, err)
				}
				got, _ := json.Marshal(map[string]any{"p": r.Method + " " + r.URL.String(), "pw": r.Header.Get("Password"), "rcpt": r.Header["Rcpt"],
					"helo": r.Header.Get("HELO"), "ip": r.Header.Get("IP"), "user": r.Header["User"], "to": r.Header["Deliver-To"]})
				if want := `{"helo":"evil X: y","ip":"192.0.2.1","p":"POST /base/checkV2","pw":"secret","rcpt":["a@x.test","b@x.test"],"to":["a"],"user":null}`; string(got) != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if tc.status != 0 {
					w.Header().Set("Location", "http://127.0.0.1:1/")
					w.WriteHeader(tc.status)
				}
				_, _ = io.WriteString(w, tc.answer)
			}))
			defer srv.Close()
			r, err := NewRspamd(srv.URL+"/base/", "secret", 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			a, err := r.Check(t.Context(), message("Hi.\r\n"), Envelope{IP: "192.0.2.1", Helo: "evil\r\nX: y\x00", Rcpt: []string{"a@x.test", "b@x.test"}, DeliverTo: "a"})
			if a != tc.want || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
}

func TestRspamdTrouble(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(stop)
	refusing := refused(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name, url string
		ctx       context.Context
		m         container.Message
		want      string
	}{
		{"hangs", srv.URL, t.Context(), *message("x"), "Timeout"},
		{"refuses", fmt.Sprintf("http://%s", refusing.Addr()), t.Context(), *message("x"), "refused"},
		{"disk", srv.URL, t.Context(), container.NewMessage(nil, broken{}), "disk on fire"},
		{"shutdown", srv.URL, cancelled, *message("x"), "canceled"},
	} {
		r, err := NewRspamd(tc.url, "", 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Check(tc.ctx, &tc.m, Envelope{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error is %v", tc.name, err)
		}
	}
	for _, bad := range []string{"", "localhost:11334", "ftp://x", "http://", "http://a b/", "::"} {
		if _, err := NewRspamd(bad, "", time.Second); err == nil {
			t.Errorf("%q is taken for a URL", bad)
		}
	}
}
