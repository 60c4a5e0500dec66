package task

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// NewID returns a random UUID (RFC 9562 §5.4, version 4).
func NewID() string {
	var b [16]byte
	rand.Read(b[:]) // never returns an error
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return format(b)
}

func format(b [16]byte) string {
	x := hex.EncodeToString(b[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// ParseID returns s as NewID writes it, or an error when it is no UUID.
func ParseID(s string) (string, error) {
	var b [16]byte
	bad := fmt.Errorf("Invalid UUID string: %s", s) //lint:ignore ST1005 Java's text, shown by webadmin
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return "", bad
	}
	if _, err := hex.Decode(b[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil || strings.Count(s, "-") != 4 {
		return "", bad
	}
	return format(b), nil
}
