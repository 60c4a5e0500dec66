// Package throttle slows down whoever guesses credentials. It counts wrong ones
// by client address and by user, in memory: an address that has given too many
// is refused for a time that doubles from block to block, and the answers to
// attempts for a user are delayed, but never refused, so that nobody can lock
// somebody else out.
//
// A client that repeats the same wrong credentials guesses nothing. It is
// counted once, so that a phone with an old password does not block the office
// behind the same address.
package throttle

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits say when a Limiter acts.
type Limits struct {
	PerAddress int           // wrong credentials from one address, within Window, until it is refused; 0: never
	PerUser    int           // wrong credentials for one user, within Window, until answers are delayed; 0: never
	Window     time.Duration // in which failures are counted
	Block      time.Duration // for which an address is refused at first
	MaxBlock   time.Duration // the longest time that doubling leads to
}

// Default returns the limits of whoever has not configured any.
func Default() Limits {
	return Limits{PerAddress: 10, PerUser: 5, Window: 10 * time.Minute, Block: time.Minute, MaxBlock: time.Hour}
}

// Bounds of what a Limiter does and remembers.
const (
	maxEntries    = 50_000 // addresses, and as many users
	remembered    = 8      // credentials of one address or user
	evictionTries = 16
	firstDelay    = 500 * time.Millisecond
	maxDelay      = 8 * time.Second
)

// A Limiter counts failures. Its methods may be called by any goroutine.
type Limiter struct {
	now  func() time.Time
	seed maphash.Seed

	mu    sync.Mutex
	addrs map[netip.Prefix]*entry
	users map[uint64]*entry
}

// entry is what is known of one address or user.
type entry struct {
	failures int
	since    time.Time // when the window began
	expires  time.Time // forgotten then
	blocks   int       // how often it was refused
	until    time.Time // refused until then
	seen     []uint64  // the last credentials
	user     uint64    // the only one that was tried, unless several
	several  bool
}

// New returns a limiter that knows nothing. A nil now is time.Now.
func New(now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{now: now, seed: maphash.MakeSeed(), addrs: map[netip.Prefix]*entry{}, users: map[uint64]*entry{}}
}

// network returns what counts as one client: an IPv4 address, or the /64 that an
// IPv6 client can choose its address from.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits) // fails for no valid address; all others are one client
	return p
}

func (l *Limiter) hash(parts ...string) uint64 {
	return maphash.String(l.seed, strings.Join(parts, "\x00"))
}

func (l *Limiter) userKey(user string) uint64 { return l.hash(strings.ToLower(user)) }

// Blocked returns how long attempts from addr are still to be refused; 0 means
// that they are not.
func (l *Limiter) Blocked(addr netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.addrs[network(addr)]
	if !ok {
		return 0
	}
	return max(0, e.until.Sub(l.now()))
}

// Delay returns how long to wait before credentials of user are looked at: right
// ones and wrong ones alike, or the delay would tell which.
func (l *Limiter) Delay(user string, limits Limits) time.Duration {
	if limits.PerUser <= 0 || user == "" {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.users[l.userKey(user)]
	if !ok || e.failures < limits.PerUser || l.now().Sub(e.since) > limits.Window {
		return 0
	}
	return min(maxDelay, firstDelay<<min(e.failures-limits.PerUser, 8))
}

// Failed notes wrong credentials. User may be empty when only the address
// counts; credential tells apart what was tried, a password or token, and is
// empty when that is not known: then each failure counts. When addr is refused
// from now on, Failed returns for how long, else 0.
func (l *Limiter) Failed(addr netip.Addr, user, credential string, limits Limits) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key, tried := l.now(), l.userKey(user), uint64(0)
	if credential != "" {
		tried = l.hash(strings.ToLower(user), credential)
	}
	if user != "" && limits.PerUser > 0 {
		find(l.users, key, now).count(now, tried, limits)
	}
	if limits.PerAddress <= 0 {
		return 0
	}
	e := find(l.addrs, network(addr), now)
	e.several = e.several || e.user != 0 && e.user != key
	e.user = key
	e.count(now, tried, limits)
	if e.failures < limits.PerAddress {
		return 0
	}
	block := blockTime(limits, e.blocks)
	e.blocks++
	e.failures, e.until = 0, now.Add(block)
	e.expires = e.until.Add(max(limits.Window, 2*block))
	return block
}

// blockTime doubles Block for each block before, up to MaxBlock.
func blockTime(limits Limits, before int) time.Duration {
	block := limits.Block
	for range before {
		if block >= limits.MaxBlock/2 {
			return max(limits.Block, limits.MaxBlock)
		}
		block *= 2
	}
	return block
}

// Succeeded notes right credentials: the failures of the user are forgotten, and
// those of the address when they were his alone. Otherwise an attacker with one
// account of his own could go on for ever.
func (l *Limiter) Succeeded(addr netip.Addr, user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := l.userKey(user)
	delete(l.users, key)
	p := network(addr)
	if e, ok := l.addrs[p]; ok && !e.several && e.user == key {
		delete(l.addrs, p)
	}
}

// count adds a failure, unless these credentials were counted already.
func (e *entry) count(now time.Time, tried uint64, limits Limits) {
	if now.Sub(e.since) > limits.Window {
		e.failures, e.since, e.seen = 0, now, e.seen[:0]
	}
	if expires := now.Add(limits.Window); e.expires.Before(expires) {
		e.expires = expires
	}
	if tried != 0 {
		if slices.Contains(e.seen, tried) {
			return
		}
		if len(e.seen) == remembered {
			e.seen = append(e.seen[:0], e.seen[1:]...)
		}
		e.seen = append(e.seen, tried)
	}
	e.failures++
}

// find returns the entry of key, a new one if need be.
func find[K comparable](m map[K]*entry, key K, now time.Time) *entry {
	e, ok := m[key]
	if ok && now.Before(e.expires) {
		return e
	}
	if !ok && len(m) >= maxEntries {
		evict(m, now)
	}
	e = &entry{since: now}
	m[key] = e
	return e
}

// evict makes room: of some entries, which Go chooses at random, those that have
// expired go, or else the one that would be the first to.
func evict[K comparable](m map[K]*entry, now time.Time) {
	tries := 0
	var first K
	var soonest time.Time
	found := false
	for key, e := range m {
		if !now.Before(e.expires) {
			delete(m, key)
			found = true
		} else if soonest.IsZero() || e.expires.Before(soonest) {
			first, soonest = key, e.expires
		}
		if tries++; tries >= evictionTries {
			break
		}
	}
	if !found {
		delete(m, first)
	}
}
