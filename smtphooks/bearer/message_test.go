package bearer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"

	"github.com/mailetd/mailetd/conf"
)

func TestParseMessage(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Message
		ok   bool
	}{
		// RFC 7628 §4.1
		{"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01",
			Message{"user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="}, true},
		{"n,,\x01auth=bearer T\x01\x01", Message{"", "T"}, true},
		{"y,a=a=2Cb=3D2C,\x01auth=BEARER T\x01\x01", Message{"a,b=2C", "T"}, true},
		{"n,user=bob@here.test,\x01auth=Bearer T\x01\x01", Message{"bob@here.test", "T"}, true}, // James's manual
		{"n,a=bob,\x01auth=\x01\x01", Message{"bob", ""}, true},                                 // RFC 7628 §4.3
		{"n,a=bob,\x01\x01", Message{"bob", ""}, true},
		{"user=bob@here.test\x01auth=Bearer T\x01\x01", Message{"bob@here.test", "T"}, true},
		{"user=\x01auth=Bearer T\x01\x01", Message{"", "T"}, true},
		{"", Message{}, false},
		{"user=bob", Message{}, false},
		{"p=tls-exporter,,\x01auth=Bearer T\x01\x01", Message{}, false},
		{"n\x01auth=Bearer T\x01\x01", Message{}, false},
		{"n,b=x,\x01auth=Bearer T\x01\x01", Message{}, false},
		{"n,a=x,y\x01auth=Bearer T\x01\x01", Message{}, false},
		{"n,a=x,\x01auth=Basic T\x01\x01", Message{}, false},
		{"n,a=x,\x01auth=Bearer T\x01auth=Bearer U\x01\x01", Message{}, false},
	} {
		if got, ok := ParseMessage(tc.text); ok != tc.ok || ok && got != tc.want {
			t.Errorf("%q: got %+v, %t, want %+v, %t", tc.text, got, ok, tc.want, tc.ok)
		}
	}
	_, text, err := sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: "bob@here.test", Token: "T", Host: "mx", Port: 25}).Start()
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := ParseMessage(string(text)); !ok || got != (Message{"bob@here.test", "T"}) {
		t.Errorf("go-sasl's %q: got %+v, %t", text, got, ok)
	}
}

func TestRefusal(t *testing.T) {
	v := New(conf.OIDC{Scope: `a "quoted" scope`, ConfigurationURL: "https://sso.test/c"})
	got := map[string]string{}
	if err := json.Unmarshal([]byte(v.Refusal()), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"status": "invalid_token", "scope": `a "quoted" scope`, "schemes": "https://sso.test/c", "openid-configuration": "https://sso.test/c"} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
}

// FuzzParseMessage: whatever is taken has a token without separators.
func FuzzParseMessage(f *testing.F) {
	f.Add("n,a=bob,\x01auth=Bearer T\x01\x01")
	f.Add("user=bob\x01auth=Bearer T\x01\x01")
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := ParseMessage(text); ok && strings.ContainsAny(m.Token+m.User, "\x01") {
			t.Errorf("%q: got %+v", text, m)
		}
	})
}
