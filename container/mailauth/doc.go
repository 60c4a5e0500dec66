// Package mailauth answers who vouches for a message: DKIM signatures (RFC 6376),
// SPF (RFC 7208) and the DMARC policy of the author's domain (RFC 7489). It also
// signs. The algorithms are those of go-msgauth and blitiri.com.ar/go/spf; this
// package gives them our resolver, messages of any size in bounded memory, and
// limits for what a hostile message or zone could make them do.
package mailauth
