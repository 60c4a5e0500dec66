package sieve

import (
	"context"
	"testing"
)

// BenchmarkRun is a script as people write them, on a mail of some size.
func BenchmarkRun(b *testing.B) {
	s, err := Compile([]byte(`require ["fileinto", "imap4flags", "envelope", "variables"];
if header :contains "list-id" ["<a.example.com>", "<b.example.com>", "<c.example.com>"] { fileinto "Lists"; stop; }
if address :domain "from" ["example.com", "example.net"] { addflag "\\Flagged"; }
if header :matches "subject" ["[*] *", "*present*"] { set "x" "${1}"; }
if envelope :localpart "to" "ken" { fileinto "Ken"; }`), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	e := env()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Run(context.Background(), e); err != nil {
			b.Fatal(err)
		}
	}
}
