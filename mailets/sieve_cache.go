package mailets

import (
	"bytes"
	"sync"

	"github.com/mailetd/mailetd/mailets/sieve"
)

// sieveCache keeps compiled scripts by user. A script is the one that was compiled
// when its text is the same, so that nothing has to be told of changes. It is
// safe for concurrent use.
type sieveCache struct {
	mu      sync.Mutex
	scripts map[string]compiledScript
	size    int // see cost
}

type compiledScript struct {
	text   []byte
	script *sieve.Script
	err    error
}

// maxCachedSieve bounds what the scripts in the cache cost: their octets, and as
// many more as keeping a small one takes. What is compiled takes some ten times as
// much memory.
const maxCachedSieve = 4 << 20

func (s compiledScript) cost() int { return len(s.text) + 1024 }

// compile returns the compiled form of a user's script, or its mistakes. It keeps
// text.
func (c *sieveCache) compile(user string, text []byte) (*sieve.Script, error) {
	c.mu.Lock()
	known, ok := c.scripts[user]
	c.mu.Unlock()
	if ok && bytes.Equal(known.text, text) {
		return known.script, known.err
	}
	known.text = text
	known.script, known.err = sieve.Compile(text, sieve.Limits{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.scripts[user]; ok {
		c.size -= old.cost()
	}
	c.size += known.cost()
	if c.scripts == nil || c.size > maxCachedSieve {
		// Cheaper than keeping an order, and rare.
		c.scripts, c.size = map[string]compiledScript{}, known.cost()
	}
	c.scripts[user] = known
	return known.script, known.err
}
