package local

import (
	"context"
	"sync"
	"time"
)

// Limits of autodetectIP.
const (
	detectTimeout = 2 * time.Second // for the addresses of all domains
	detectLife    = time.Minute
	detectAtOnce  = 16
)

// detection keeps the addresses of the local domains (autodetectIP).
type detection struct {
	asking sync.Mutex // whoever asks the resolver

	mu    sync.Mutex
	known map[string]detected
}

type detected struct {
	ips   []string
	until time.Time
}

// detectIPs adds the addresses of the domains in set. Only one caller at a time
// asks the resolver, and not for long; the others take what is known. When there
// is no answer, the addresses stay what they were: a dead resolver must neither
// hold up every recipient nor make us forget who we are.
func (d *Directory) detectIPs(ctx context.Context, set domainSet) {
	names, fresh := d.detection.outdated(set, d.cfg.Now())
	if len(names) > 0 && (d.detection.asking.TryLock() || fresh && d.detection.lock()) {
		names, _ = d.detection.outdated(set, d.cfg.Now()) // somebody may have been here
		d.askIPs(ctx, names)
		d.detection.asking.Unlock()
	}
	d.detection.mu.Lock()
	defer d.detection.mu.Unlock()
	var ips []string
	for name, k := range d.detection.known {
		if set[name] {
			ips = append(ips, k.ips...)
		} else {
			delete(d.detection.known, name)
		}
	}
	for _, ip := range ips {
		set[lower(ip)] = true
	}
}

// lock waits for whoever is asking.
func (t *detection) lock() bool {
	t.asking.Lock()
	return true
}

// outdated returns the domains to ask about; fresh tells that one of them was
// never asked about.
func (t *detection) outdated(set domainSet, now time.Time) (names []string, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range set {
		k, ok := t.known[name]
		if !ok || !now.Before(k.until) {
			names = append(names, name)
			fresh = fresh || !ok
		}
	}
	return names, fresh
}

// askIPs asks about several domains at once.
func (d *Directory) askIPs(ctx context.Context, names []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.DetectTimeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, detectAtOnce)
	for _, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			d.detection.put(name, d.cfg.LookupIPs(ctx, name), d.cfg.Now().Add(detectLife))
		})
	}
	wg.Wait()
}

// put notes an answer; none leaves what was known.
func (t *detection) put(name string, ips []string, until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(ips) == 0 {
		ips = t.known[name].ips
	}
	if t.known == nil {
		t.known = map[string]detected{}
	}
	t.known[name] = detected{ips, until}
}
