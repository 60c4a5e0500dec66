package sieve

import (
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// What the tests of RFC 5228, RFC 5231 and RFC 5260 say about awkward fields.
func TestAwkwardFields(t *testing.T) {
	for _, tc := range []struct {
		hdr, test string
		want      bool
	}{
		{"To: \"john smith\"@x.test\r\n", `address :localpart "to" "john smith"`, true},
		{"To: \"john\\\"smith\"@x.test\r\n", `address :localpart "to" "john\"smith"`, true},
		{"To: \"john\\\\smith\"@x.test\r\n", `address :localpart "to" "john\\smith"`, true},
		{"To: grp: a@x.test, b@y.test;, c@z.test\r\n", `address :domain "to" "y.test"`, true},
		{"To: undisclosed-recipients:;\r\n", `address :all :contains "to" ""`, false},
		{"To: (c) a@x.test (f)\r\n", `address "to" "a@x.test"`, true},
		{"To: =?utf-8?q?a?= <a@x.test>, bad bad, b@x.test\r\n", `address "to" "b@x.test"`, true},
		{"From: a@[192.0.2.1]\r\n", `address :domain "from" "[192.0.2.1]"`, true},
		{"Return-Path: <>\r\n", `address :all :is "return-path" ""`, true},
		{"X: \r\n", `header :is "x" ""`, true},
		{"X: a\r\n", `header :contains "y" ""`, false},
		{"X: a\r\n", `header :matches "x" "A"`, true},
		{"X: a\r\n", `header :comparator "i;octet" :matches "x" "A"`, false},
		{"X: =?iso-8859-1?q?=E9?=\r\n", `header "x" "é"`, true},
		{"X: =?iso-8859-1?q?=E9?= =?iso-8859-1?q?=E9?=\r\n", `header :matches "x" "??"`, true},
		{"X: a\r\n b\r\n", `header "x" "a b"`, true},
		{"X: \xe9\r\n", `header :matches "x" "?"`, true},
		{"X: a\r\nX: b\r\nX: c\r\n", `header :index 1 :last "x" "c"`, true},
		{"X: a\r\nX: b\r\nX: c\r\n", `header :index 2 :last "x" "b"`, true},
		{"X: a\r\nX: b\r\nX: c\r\n", `header :index 4 "x" "c"`, false},
		{"X: a\r\nX: b\r\nX: c\r\n", `header :count "eq" :comparator "i;ascii-numeric" "x" "3"`, true},
		{"To: a@x, b@x\r\nCc: c@x\r\n", `address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] "3"`, true},
		{"X: a\r\n", `header :count "eq" :comparator "i;ascii-numeric" "none" "0"`, true},
		{"Date: Tue, 1 Apr 1997 23:30:00 -0800\r\n", `date :zone "+0000" "date" "date" "1997-04-02"`, true},
		{"Date: Tue, 1 Apr 1997 23:30:00 -0800\r\n", `date :originalzone "date" "date" "1997-04-01"`, true},
		{"Date: Tue, 1 Apr 1997 23:30:00 -0800\r\n", `date :originalzone "date" "zone" "-0800"`, true},
		{"Date: Tue, 1 Apr 1997 23:30:00 -0800\r\n", `date :zone "+0530" "date" "iso8601" "1997-04-02T13:00:00+05:30"`, true},
		{"Date: Tue, 1 Apr 1997 23:30:00 PST\r\n", `date :originalzone "date" "zone" "-0800"`, true},
		{"Date: Tue, 1 Apr 97 23:30 EST\r\n", `date :originalzone "date" "zone" "-0500"`, true},
		{"Date: 1 Apr 1858 00:00:00 +0000\r\n", `date :zone "+0000" "date" "year" "1858"`, true},
		{"Date: 17 Nov 1858 00:00:00 +0000\r\n", `date :zone "+0000" "date" "julian" "0"`, true},
		{"X: 10\r\n", `header :value "gt" :comparator "i;ascii-numeric" "x" "9"`, true},
		{"X: a\r\n", `header :value "eq" :comparator "i;ascii-numeric" "x" "b"`, true},
		{"", `envelope :all :is "from" ""`, true},
		{"", `envelope :domain :is "from" ""`, true},
		{"", `envelope :detail :is "from" ""`, false},
		{"", `size :over 0`, true},
		{"", `not anyof (false, not true)`, true},
		{"X: a,b\r\n", `header :matches "x" "*,*"`, true},
		{"X: a*b\r\n", `header :matches "x" "a\\*b"`, true},
		{"X: axb\r\n", `header :matches "x" "a\\*b"`, false},
		{"Subject : a\r\n", `header "subject" "a"`, true},
	} {
		s, err := Compile([]byte(requireAll+"if "+tc.test+" { discard; }"), Limits{})
		if err != nil {
			t.Errorf("%s: %v", tc.test, err)
			continue
		}
		m := container.NewMessage([]byte(tc.hdr), container.BytesBody("x"))
		res, err := s.Run(t.Context(), Env{Message: &m, Now: time.Now()})
		if err != nil || (res.Actions[0].Kind == Discard) != tc.want {
			t.Errorf("%q %s: %s %v", tc.hdr, tc.test, show(res), err)
		}
	}
}
