package cmd

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

const (
	greylistEvery = 10 * time.Minute
	greylistRows  = 1000 // in a transaction
)

// forgetGreylisted returns a part that removes what the greylist need not know
// any more.
func (s *site) forgetGreylisted(store local.GreylistStorage) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(greylistEvery)
		defer tick.Stop()
		for {
			n, err := store.ForgetGreylisted(ctx, time.Now(), greylistRows)
			if err != nil && ctx.Err() == nil {
				s.log.Warn("old entries of the greylist are not removed", "err", err)
			}
			if n == greylistRows && err == nil {
				continue
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}
}
