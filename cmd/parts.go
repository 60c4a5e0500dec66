package cmd

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// part is something that runs for as long as the server does.
type part struct {
	name string
	run  func(context.Context) error
}

// runParts runs parts until ctx is done or one of them ends. Then it stops them
// one after the other, the last one first, each given the time it takes: what
// feeds others stands behind them in the list.
func runParts(ctx context.Context, parts []part) error {
	ctx, ended := context.WithCancel(ctx)
	defer ended()
	var mu sync.Mutex
	var errs []error
	stops := make([]func(), len(parts))
	for i, p := range parts {
		pctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		stops[i] = func() { cancel(); <-done }
		go func() {
			defer close(done)
			defer ended() // a part that ends by itself takes the others along
			if err := p.run(pctx); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
				mu.Unlock()
			}
		}()
	}
	<-ctx.Done()
	for i := len(stops) - 1; i >= 0; i-- {
		stops[i]()
	}
	return errors.Join(errs...)
}
