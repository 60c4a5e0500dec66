package conf

import (
	"reflect"
	"strings"
	"testing"
)

func parseWebadmin(text string) (WebadminServer, *Report) {
	r := &Report{}
	p := ParseProperties("webadmin.properties", []byte(text), nil, &Vars{}, r)
	return Webadmin(p, r), r
}

func TestWebadmin(t *testing.T) {
	local := WebadminServer{Enabled: true, Host: "localhost", Port: 8000, CORSOrigin: "*"}
	with := func(change func(*WebadminServer)) WebadminServer {
		w := local
		change(&w)
		return w
	}
	for _, tc := range []struct {
		name, file string
		want       WebadminServer
	}{
		{"empty", "", with(func(w *WebadminServer) { w.Enabled = false })},
		{"enabled", "enabled=true", local},
		{"loopback address", "enabled=true\nhost=127.0.0.2", with(func(w *WebadminServer) { w.Host = "127.0.0.2" })},
		{"all addresses", "enabled=true\nhost=0.0.0.0\nport=0", with(func(w *WebadminServer) {
			w.Host, w.Port, w.GeneratePassword = "0.0.0.0", 0, true
		})},
		{"open to all", "enabled=true\nhost=0.0.0.0\npassword.generate=false", with(func(w *WebadminServer) { w.Host = "0.0.0.0" })},
		{"generate on loopback", "enabled=true\npassword.generate=true", with(func(w *WebadminServer) { w.GeneratePassword = true })},
		{"passwords", "enabled=true\npassword=a, b\npassword.readonly=c\npassword.nodelete=d", with(func(w *WebadminServer) {
			w.Passwords, w.ReadOnly, w.NoDelete = []string{"a", "b"}, []string{"c"}, []string{"d"}
		})},
		{"code spelling", "enabled=true\njwt.enabled=true\njwt.publickeypem.url=file://conf/k\nhttps.enabled=true\nhttps.certificates=file://conf/c\nhttps.privateKey=file://conf/p", with(func(w *WebadminServer) {
			w.JWT, w.JWTKeys, w.HTTPS, w.Certificates, w.PrivateKey = true, "file://conf/k", true, "file://conf/c", "file://conf/p"
		})},
		{"manual spelling", "enabled=true\njwt.enable=true\njwt.publickeypem.url=k\nhttps.enable=true\nhttps.certificates=c\nhttps.privateKey=p", with(func(w *WebadminServer) {
			w.JWT, w.JWTKeys, w.HTTPS, w.Certificates, w.PrivateKey = true, "k", true, "c", "p"
		})},
		{"keystore", "enabled=true\nhttps.enabled=true\nhttps.keystore=file://conf/k\nhttps.password=p", with(func(w *WebadminServer) {
			w.HTTPS, w.Keystore, w.KeystorePassword, w.KeystorePos = true, "file://conf/k", "p", Pos{"webadmin.properties", 3, 1}
		})},
		{"cors off", "enabled=true\ncors.enable=false\ncors.origin=*", local},
		{"cors", "enabled=true\ncors.enable=true\ncors.origin=https://a.test", with(func(w *WebadminServer) {
			w.CORSTrusted, w.CORSOrigin = true, "https://a.test"
		})},
		{"metrics", "enabled=true\nextensions.routes=org.apache.james.webadmin.dropwizard.MetricsRoutes", with(func(w *WebadminServer) { w.Metrics = true })},
		{"read and ignored", "enabled=true\nminThreadCount=2\nmaxThreadCount=9", local},
		{"https off with keystore", "enabled=true\nhttps.enabled=false\nhttps.keystore=k\nhttps.password=p", local},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, r := parseWebadmin(tc.file)
			if len(r.Problems()) > 0 {
				t.Errorf("got problems %v, want none", r.Problems())
			}
			if len(got.Passwords)+len(got.ReadOnly)+len(got.NoDelete) == 0 {
				got.Passwords, got.ReadOnly, got.NoDelete = nil, nil, nil
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}

func TestWebadminProblems(t *testing.T) {
	for _, tc := range []struct {
		name, file, want string
	}{
		{"port", "port=many", `:1:1: error: port is "many", not a whole number`},
		{"port range", "port=70000", "error: port: 70000 is not a number from 0 to 65535"},
		{"boolean", "enabled=maybe", `error: enabled is "maybe", not true or false`},
		{"jwt without key", "enabled=true\njwt.enabled=true", ":2:1: error: jwt.publickeypem.url is required"},
		{"https without key", "enabled=true\nhttps.enabled=true\nhttps.certificates=c", ":2:1: error: https.keystore, or https.certificates and https.privateKey"},
		{"keystore and PEM", "enabled=true\nhttps.enabled=true\nhttps.keystore=k\nhttps.certificates=c\nhttps.privateKey=p", ":3:1: warning: https.keystore is used, and https.certificates"},
		{"trust store", "enabled=true\nhttps.enabled=true\nhttps.keystore=k\nhttps.trust.keystore=t\nhttps.trust.password=p", ":4:1: warning: https.trust.keystore protects nothing"},
		{"trust store without password", "enabled=true\nhttps.enabled=true\nhttps.keystore=k\nhttps.trust.keystore=t", ":4:1: error: give both https.trust.keystore and"},
		{"trust store password alone", "enabled=true\nhttps.enabled=true\nhttps.keystore=k\nhttps.trust.password=t", ":4:1: error: give both https.trust.keystore and"},
		{"unknown extension", "extensions.routes=com.acme.Routes", "warning: extensions.routes: com.acme.Routes is no class of mailetd"},
		{"empty password", "password=", "warning: password is empty and protects nothing"},
		{"unknown key", "prot=8000", `warning: prot is not a key of webadmin.properties; ignored (did you mean "port"?)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, r := parseWebadmin(tc.file)
			ps := r.Problems()
			if len(ps) != 1 || !strings.Contains(ps[0].String(), tc.want) {
				t.Errorf("got %v, want one with %q", ps, tc.want)
			}
		})
	}
}
