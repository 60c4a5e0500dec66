package matchers

import (
	"container/list"
	"sync"
	"time"
)

// answerCache remembers answers, yes as well as no, for a time. When it is full
// the one that was asked for the longest time ago goes. It may be used by several
// goroutines.
type answerCache struct {
	size int
	life time.Duration

	mu    sync.Mutex
	known map[string]*list.Element // of *answer
	order *list.List               // the one asked for last in front
}

type answer struct {
	key   string
	yes   bool
	until time.Time
}

func newAnswerCache(size int, life time.Duration) *answerCache {
	return &answerCache{size: size, life: life, known: map[string]*list.Element{}, order: list.New()}
}

func (c *answerCache) get(key string, now time.Time) (yes, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known[key]
	if !ok {
		return false, false
	}
	a := e.Value.(*answer)
	if !now.Before(a.until) {
		c.remove(e)
		return false, false
	}
	c.order.MoveToFront(e)
	return a.yes, true
}

func (c *answerCache) put(key string, yes bool, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.known[key]; ok {
		c.remove(e)
	}
	for len(c.known) >= c.size {
		c.remove(c.order.Back())
	}
	c.known[key] = c.order.PushFront(&answer{key, yes, now.Add(c.life)})
}

func (c *answerCache) remove(e *list.Element) {
	delete(c.known, e.Value.(*answer).key)
	c.order.Remove(e)
}
