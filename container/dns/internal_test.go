package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

func TestCacheIsBounded(t *testing.T) {
	c := newCache(100)
	now := time.Now()
	for i := range 10000 {
		c.put(cacheKey{fmt.Sprint(i), 1}, cacheEntry{expires: now.Add(time.Duration(i%50+1) * time.Second)}, now)
		if c.len() > 100 {
			t.Fatalf("cache has %d entries, want at most 100", c.len())
		}
	}
	off := newCache(-1)
	off.put(cacheKey{"a", 1}, cacheEntry{expires: now.Add(time.Hour)}, now)
	if off.len() != 0 {
		t.Error("a cache of size -1 keeps entries")
	}
}

// Large answers, which anybody can make us ask for, do not fill the memory.
func TestCacheIsBoundedInBytes(t *testing.T) {
	c := newCache(100000)
	now := time.Now()
	big, err := mdns.NewRR("a.test. 60 IN TXT " + strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 200))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		c.put(cacheKey{fmt.Sprint(i), 16}, cacheEntry{rrs: []mdns.RR{big}, expires: now.Add(time.Hour)}, now)
	}
	if n := c.len(); n*50000 > maxCacheBytes {
		t.Errorf("cache has %d answers of 50 kB, want at most %d bytes", n, maxCacheBytes)
	}
	if _, ok := c.get(cacheKey{"1999", 16}, now); !ok {
		t.Error("the last answer is not kept")
	}
	for i := range 2000 {
		c.get(cacheKey{fmt.Sprint(i), 16}, now.Add(2*time.Hour))
	}
	if c.len() != 0 || c.bytes != 0 {
		t.Errorf("%d entries and %d bytes are left", c.len(), c.bytes)
	}
}

func TestServersIn(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ text, want string }{
		{"search x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n", "[192.0.2.1 fe80::1%eth0]"},
		{"# nameserver 192.0.2.1\nnameserver\nnameserver bad\n", "[127.0.0.1]"},
	} {
		path := filepath.Join(dir, "resolv.conf")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(serversIn(path)); got != tc.want {
			t.Errorf("%q: got %s, want %s", tc.text, got, tc.want)
		}
	}
	if got := fmt.Sprint(serversIn(filepath.Join(dir, "absent"))); got != "[127.0.0.1]" {
		t.Errorf("no file: got %s", got)
	}
}

func TestServerAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "::1": "[::1]:53", "[::1]": "[::1]:53", "[::1]:54": "[::1]:54",
	} {
		if got := serverAddress(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// A name that passes has only octets that are safe in a query and in a log.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"example.org", "a..b", "bücher.test", "-", "_dmarc.x.", "a b", strings.Repeat("a.", 130)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := canonical(s)
		if err != nil {
			return
		}
		if len(n) > 254 || !validName(strings.TrimSuffix(n, ".")) || n != strings.ToLower(n) {
			t.Errorf("%q gives %q", s, n)
		}
		if again, err := canonical(n); err != nil || again != n {
			t.Errorf("%q gives %q, which gives %q, %v", s, n, again, err)
		}
	})
}
