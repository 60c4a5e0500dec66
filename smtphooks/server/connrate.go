package server

import (
	"net/netip"
	"sync"
	"time"
)

// maxMetered bounds the memory for the addresses that have connected lately.
const maxMetered = 50_000

// meter limits how many connections come from one address in a minute. A burst of
// a whole minute's worth is let in; after that one more for each share of a
// minute that passes. Its methods may be called by any goroutine.
type meter struct {
	mu   sync.Mutex
	paid map[netip.Prefix]time.Time // until when the connections so far count
}

// admit counts a connection from addr, unless perMinute is exceeded.
func (m *meter) admit(addr netip.Addr, perMinute int, now time.Time) bool {
	share := time.Minute / time.Duration(perMinute)
	key := clientNetwork(addr)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paid == nil {
		m.paid = map[netip.Prefix]time.Time{}
	}
	until := m.paid[key]
	if until.Before(now) {
		until = now
	}
	if until = until.Add(share); until.Sub(now) > time.Minute {
		return false
	}
	if _, known := m.paid[key]; !known && len(m.paid) >= maxMetered {
		m.forget(now)
	}
	m.paid[key] = until
	return true
}

// forget makes room: it looks at some addresses, drops those that count no more
// and, when there is none, one of the others. It never looks at all of them, so
// that a flood of addresses does not become a flood of work.
func (m *meter) forget(now time.Time) {
	const looks = 16
	n, last := 0, netip.Prefix{}
	before := len(m.paid)
	for key, until := range m.paid {
		last = key
		if until.Before(now) {
			delete(m.paid, key)
		}
		if n++; n == looks {
			break
		}
	}
	if len(m.paid) == before {
		delete(m.paid, last)
	}
}

// clientNetwork is what counts as one client: an IPv4 address, or the /64 that an
// IPv6 client chooses its address from.
func clientNetwork(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // fails for no valid address
	return p
}
