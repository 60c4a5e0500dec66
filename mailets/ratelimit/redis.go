package ratelimit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisConfig says where Redis is. It has the values of conf.Redis.
type RedisConfig struct {
	Topology           string // standalone, cluster, master-replica or sentinel
	Addrs              []string
	Username, Password string
	DB                 int
	Master             string // the name that sentinels know the master by
	SentinelPassword   string
	Timeout            time.Duration // of a command; 0: 3 seconds
	TLS                *tls.Config   // nil: in the clear
}

// Redis is the backend that several machines share: each decision is one script
// in the server, by the clock of the server.
type Redis struct {
	nodes []redis.UniversalClient // one, but for master-replica
	at    atomic.Int32            // the node that was the master last
	names *Counters               // knows which limits there are; counts nothing
}

var _ Backend = (*Redis)(nil)

// redisPrefix begins the names of all keys in Redis.
const redisPrefix = "mailetd:rate:"

// exactMax is the largest number that the scripts of Redis count exactly.
const exactMax = 1 << 53

// takeScript adds ARGV[1] to the hash KEYS[1], which has the sum of each bucket
// of ARGV[2] milliseconds, if that keeps the sum of ARGV[3] buckets within
// ARGV[4]. One command decides and adds, so that machines do not get in each
// other's way.
var takeScript = redis.NewScript(`
local t = redis.call('TIME')
local step = tonumber(ARGV[2])
local buckets = tonumber(ARGV[3])
local bucket = math.floor((tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)) / step)
local all = redis.call('HGETALL', KEYS[1])
local sum = 0
for i = 1, #all, 2 do
  local b = tonumber(all[i])
  if b <= bucket - buckets or b > bucket + buckets then
    redis.call('HDEL', KEYS[1], all[i])
  else
    sum = sum + tonumber(all[i + 1])
  end
end
if sum + tonumber(ARGV[1]) > tonumber(ARGV[4]) then
  return 0
end
redis.call('HINCRBY', KEYS[1], string.format('%.0f', bucket), ARGV[1])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', step * (buckets + 1)))
return 1
`)

// NewRedis returns a backend; it connects when it is first used. Close it.
func NewRedis(c RedisConfig) *Redis {
	r := &Redis{names: NewCounters(nil, nil, nil)}
	groups := [][]string{c.Addrs}
	if c.Topology == "master-replica" {
		groups = nil
		for _, a := range c.Addrs {
			groups = append(groups, []string{a})
		}
	}
	for _, addrs := range groups {
		o := &redis.UniversalOptions{Addrs: addrs, DB: c.DB, Username: c.Username, Password: c.Password, ClientName: "mailetd",
			ContextTimeoutEnabled: true, DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, TLSConfig: c.TLS,
			MasterName: c.Master, SentinelPassword: c.SentinelPassword, IsClusterMode: c.Topology == "cluster",
			// A charge that is made again because its answer came too late counts again.
			MaxRetries: -1, MaxRedirects: 1}
		if c.Topology == "cluster" {
			o.MasterName = ""
			r.nodes = append(r.nodes, redis.NewClusterClient(o.Cluster()))
			continue
		}
		r.nodes = append(r.nodes, redis.NewUniversalClient(o))
	}
	return r
}

// Close ends the connections.
func (r *Redis) Close() error {
	var errs []error
	for _, n := range r.nodes {
		errs = append(errs, n.Close())
	}
	return errors.Join(errs...)
}

// Ping reports whether Redis answers.
func (r *Redis) Ping(ctx context.Context) error {
	return r.onMaster(func(c redis.UniversalClient) error { return c.Ping(ctx).Err() })
}

// Limit returns the limit of a rule, see Backend.
func (r *Redis) Limit(name string, rule Rule) (l *Limit, shared bool) {
	return r.names.Limit(name, rule)
}

// Take decides about each of the charges in one round trip, see Backend. Where an
// answer is lost, the charge may have been added.
func (r *Redis) Take(ctx context.Context, charges []Charge) error {
	err := r.onMaster(func(c redis.UniversalClient) (err error) {
		for range brokenTries {
			if err = takeAll(ctx, c, charges); !broken(err) {
				break
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("rate limit in Redis: %w", err)
	}
	return nil
}

// brokenTries is how many connections may turn out to be broken: after Redis was
// started again those that are kept open are.
const brokenTries = 4

// broken reports that the connection was closed by the other side.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// takeAll sends all charges at once. A server that does not know the script, as
// it was started again, has done nothing and gets it.
func takeAll(ctx context.Context, c redis.UniversalClient, charges []Charge) error {
	pipe := c.Pipeline()
	answers := make([]*redis.Cmd, len(charges))
	for i := range charges {
		ch := &charges[i]
		if ch.Within = ch.N <= 0; ch.Within {
			continue
		}
		answers[i] = takeScript.EvalSha(ctx, pipe, ch.keys(), ch.arguments()...)
	}
	if pipe.Len() == 0 {
		return nil
	}
	// The error is that of the first command; each has its own.
	_, pipeErr := pipe.Exec(ctx)
	for i, a := range answers {
		if a == nil {
			continue
		}
		n, err := a.Int()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			n, err = takeScript.Eval(ctx, c, charges[i].keys(), charges[i].arguments()...).Int()
		}
		if err != nil {
			return errors.Join(err, without(pipeErr, err))
		}
		charges[i].Within = n == 1
	}
	return nil
}

// without returns nil for an error that says nothing new.
func without(err, said error) error {
	if err == nil || err.Error() == said.Error() || redis.HasErrorPrefix(err, "NOSCRIPT") {
		return nil
	}
	return err
}

func (c *Charge) keys() []string { return []string{redisPrefix + c.Limit.name + "/" + c.Key} }

func (c *Charge) arguments() []any {
	n, limit := c.N, c.Limit.limit
	if limit >= exactMax {
		limit = exactMax
	}
	return []any{min(n, exactMax+1), c.Limit.step.Milliseconds(), c.Limit.buckets, limit}
}

// onMaster calls do with the node that was the master last; when that has
// become a replica, or does not answer, with the others.
func (r *Redis) onMaster(do func(redis.UniversalClient) error) error {
	first := r.at.Load()
	var errs []error
	for i := range r.nodes {
		n := (int(first) + i) % len(r.nodes)
		err := do(r.nodes[n])
		if err == nil {
			if i > 0 {
				r.at.CompareAndSwap(first, int32(n))
			}
			return nil
		}
		errs = append(errs, err)
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return errors.Join(errs...)
}
