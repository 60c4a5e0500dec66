package mime

import (
	"strings"
	"testing"
	"time"
)

// Comments may stand in front of an address and within it (RFC 5322 §3.2.2).
func TestParseAddressesComments(t *testing.T) {
	for value, want := range map[string]string{
		"(Joe) joe@x.test (at home)":            "joe@x.test",
		"(a (b) \\) c) joe@x.test, mo@x.test":   "joe@x.test mo@x.test",
		"(c) Joe \"(no comment)\" <joe@x.test>": "joe@x.test",
		"(joe@x.test":                           "",
		"(only) (comments)":                     "",
	} {
		boxes, _ := ParseAddresses(value)
		var got []string
		for _, b := range boxes {
			got = append(got, b.Address.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}

// The zones of RFC 5322 §4.3 that have names.
func TestParseDateZones(t *testing.T) {
	for zone, want := range map[string]string{
		"PST": "1997-04-02T07:30:00Z", "EDT": "1997-04-02T03:30:00Z", "GMT": "1997-04-01T23:30:00Z", "UT": "1997-04-01T23:30:00Z",
		"-0800": "1997-04-02T07:30:00Z", "-0800 (PST)": "1997-04-02T07:30:00Z", "XYZ": "1997-04-01T23:30:00Z",
	} {
		d, err := ParseDate("Tue, 1 Apr 1997 23:30:00 " + zone)
		if err != nil || d.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: got %v, %v", zone, d, err)
		}
	}
	d, err := ParseDate("1 Apr 97 23:30 CST")
	if err != nil || d.Format("-0700") != "-0600" {
		t.Errorf("got %v, %v", d, err)
	}
}
