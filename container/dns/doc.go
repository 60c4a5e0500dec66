// Package dns looks up what mail needs: exchangers, addresses, reverse names
// and text records, over miekg/dns.
//
// The operating system's resolver is never asked, so that a search domain of
// this machine cannot change where mail goes, a temporary failure is never
// taken for a name that does not exist, and a test can serve its own zone
// (package dnstest).
//
// A lookup goes through the cache, then to each server in turn: over UDP, again
// over TCP when the answer did not fit. An answer counts only when it repeats
// the question. Aliases are followed within the answer, and with a further
// query when the answer ends at one.
package dns
