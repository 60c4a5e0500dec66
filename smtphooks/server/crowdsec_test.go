package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/smtphooks"
)

// startReading is start with a configuration folder.
func startReading(t *testing.T, elements string, files map[string]string) *harness {
	t.Helper()
	r := &conf.Report{}
	h := &harness{t: t, queue: &fakeQueue{}, log: &lockedBuffer{}, ended: make(chan error, 1)}
	h.Server = New(conf.SMTPServers(conf.ParseXML("smtpserver.xml", []byte(smtpserverXML(elements)), r), r), smtphooks.NewRegistry(), smtphooks.Services{
		DefaultDomain: "here.test", Hostname: "mx.here.test", Local: fakeLocal{}, DNS: fakeDNS{}, Queue: h.queue,
		Metrics: metrics.New(), Log: slog.New(slog.NewTextHandler(h.log, nil)),
		ReadFile: func(ref string) ([]byte, error) {
			text, ok := files[strings.TrimPrefix(ref, "file://conf/")]
			if !ok {
				return nil, fs.ErrNotExist
			}
			return []byte(text), nil
		},
	}, Options{}, r)
	if len(r.Problems()) > 0 {
		t.Fatal(r.Problems())
	}
	if err := h.Listen(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { h.ended <- h.Run(ctx) }()
	t.Cleanup(func() { cancel(); h.Close(); h.wait() })
	return h
}

// TestCrowdsec: what a client behind a proxy hears, banned or not.
func TestCrowdsec(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("ip") {
		case "192.0.2.6":
			fmt.Fprint(w, `[{"duration":"3h","id":1,"origin":"cscli","scenario":"spam","scope":"Range","type":"ban","value":"192.0.2.0/29"}]`)
		case "192.0.2.99":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			fmt.Fprint(w, "null")
		}
	}))
	defer api.Close()
	files := map[string]string{"crowdsec.properties": "crowdsecUrl=" + api.URL + "/v1\napiKey=k\ntimeout=10\n"}
	for _, tc := range []struct{ class, ip, script string }{
		{"CrowdsecEhloHook", "192.0.2.6", "S: 220 ...\nC: EHLO x\nS: 554 Email rejected\nC: HELO x\nS: 554 Email rejected\nC: MAIL FROM:<a@far.test>\nS: 503 5.5.0 Need HELO..."},
		{"CrowdsecEhloHook", "192.0.2.1", "S: 220 ...\nC: HELO x\nS: 250 ..."},
		{"CrowdsecEhloHook", "192.0.2.99", "S: 220 ...\nC: HELO x\nS: 250 ..."},
		{"CrowdsecSMTPConnectHandler", "192.0.2.6", "S: 554 Email rejected\nCLOSED"},
		{"CrowdsecSMTPConnectHandler", "192.0.2.1", "S: 220 ...\nC: HELO x\nS: 250 ..."},
		{"CrowdsecSMTPConnectHandler", "192.0.2.99", "S: 220 ...\nC: HELO x\nS: 250 ..."},
	} {
		t.Run(tc.class+" "+tc.ip, func(t *testing.T) {
			h := startReading(t, `<proxyRequired>true</proxyRequired><handlerchain><handler class="org.apache.james.crowdsec.`+tc.class+`"/></handlerchain>`, files)
			c := h.dial()
			c.send("PROXY TCP4 " + tc.ip + " 198.51.100.1 4000 25\r\n")
			c.talk(tc.script)
			if failed := strings.Contains(h.log.String(), "CrowdSec not asked; clients are let in"); failed != (tc.ip == "192.0.2.99") {
				t.Errorf("log %s", h.log)
			}
		})
	}
}

// TestCrowdsecConfiguration: what is wrong with the file is found at the start.
func TestCrowdsecConfiguration(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "crowdsec.properties: crowdsecUrl: want the URL of the local API",
		"crowdsecUrl=http://localhost/v1": "crowdsec.properties: apiKey: want the key of a bouncer",
		"crowdsecUrl=http://localhost/v1\napiKey=k\ntimeout=soon": "crowdsec.properties:3",
	} {
		r := &conf.Report{}
		p := conf.ParseParams(`<handler class="org.apache.james.crowdsec.CrowdsecEhloHook"/>`, r)
		smtphooks.Build(conf.SMTPServer{Chain: conf.HandlerChain{Core: conf.DefaultSMTPCore, Handlers: []*conf.Params{p}}}, smtphooks.NewRegistry(),
			smtphooks.Services{Log: slog.New(slog.DiscardHandler), ReadFile: func(string) ([]byte, error) {
				if text == "" {
					return nil, errors.Join(errors.New("open"), fs.ErrNotExist)
				}
				return []byte(text), nil
			}}, r)
		if got := fmt.Sprint(r.Problems()); !strings.Contains(got, want) {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
