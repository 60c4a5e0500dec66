package sqlite

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

func TestRateCounts(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	now := time.UnixMilli(1e12)
	row := func(limiter, key string, bucket, n int64) local.RateCount {
		return local.RateCount{Limiter: limiter, Key: key, Bucket: bucket, N: n, Until: now.Add(time.Duration(bucket) * time.Second)}
	}
	must(t, s.PutRateCounts(ctx, nil))
	must(t, s.PutRateCounts(ctx, []local.RateCount{row("l", "a", 1, 5), row("l", "a", 2, 6), row("l", "b", 3, 7), row("m", "a", 1, 9)}))
	must(t, s.PutRateCounts(ctx, []local.RateCount{row("l", "a", 2, 60)}))
	must(t, s.Close(ctx))

	s = openTest(t, dir)
	check := func(what string, got []local.RateCount, err error, want ...local.RateCount) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
	}
	got, err := s.RateCounts(ctx, "l", now, 2)
	check("two", got, err, row("l", "b", 3, 7), row("l", "a", 2, 60))
	got, err = s.RateCounts(ctx, "l", now.Add(2*time.Second), 10)
	check("later", got, err, row("l", "b", 3, 7))
	got, err = s.RateCountsOf(ctx, "l", "a", now)
	check("one key", got, err, row("l", "a", 1, 5), row("l", "a", 2, 60))
	for _, want := range []int{1, 1, 1, 0} {
		if n, err := s.ForgetRateCounts(ctx, now.Add(2*time.Second), 1); err != nil || n != want {
			t.Errorf("forgot %d, %v, want %d", n, err, want)
		}
	}
	got, err = s.RateCounts(ctx, "l", now, 10)
	check("what is left", got, err, row("l", "b", 3, 7))
}

func BenchmarkPutRateCounts(b *testing.B) {
	s, err := Open(b.TempDir(), Options{Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(context.Background())
	rows := make([]local.RateCount, 1000)
	for i := range rows {
		rows[i] = local.RateCount{Limiter: "sender//count/1h0m0s/1m0s", Key: fmt.Sprintf("user%d@example.com", i), Bucket: 1, N: 1, Until: time.UnixMilli(1e12)}
	}
	for b.Loop() {
		if err := s.PutRateCounts(context.Background(), rows); err != nil {
			b.Fatal(err)
		}
	}
}
