package sqlite

import (
	"sync/atomic"
	"time"
)

// queueClock is the line on which queue_item keeps its times. It is the clock of
// the machine as it was set when the store was opened, or set forward since.
// When that is set back, this one goes on: delays take as long as they were
// meant to. What leaves the store is told in the time of the machine.
//
// Being set forward cannot be told from sleep, in which the time of delays
// passes as well.
type queueClock struct {
	read   func() (wall, steady int64) // nanoseconds; steady is set by nobody
	offset int64                       // of wall to steady, when last looked at
	ahead  atomic.Int64                // how far this clock is before that of the machine
}

// jumpMin is what counts as setting a clock: less is how clocks are trimmed.
const jumpMin = int64(2 * time.Second)

func newQueueClock(opts Options) *queueClock {
	c := &queueClock{}
	begin := time.Now()
	switch {
	case opts.Now == nil:
		c.read = func() (int64, int64) { // one reading: nothing can get between
			t := time.Now()
			return t.UnixNano(), int64(t.Sub(begin))
		}
	case opts.Steady == nil:
		c.read = func() (int64, int64) {
			n := opts.Now().UnixNano()
			return n, n
		}
	default:
		c.read = func() (int64, int64) { return opts.Now().UnixNano(), int64(opts.Steady()) }
	}
	wall, steady := c.read()
	c.offset = wall - steady
	return c
}

// watch finds out whether the clock of the machine was set since the last call,
// and returns by how much. The writer calls it before it uses any time.
func (c *queueClock) watch() time.Duration {
	wall, steady := c.read()
	jump := wall - steady - c.offset
	if -jumpMin < jump && jump < jumpMin {
		return 0
	}
	c.offset += jump
	c.ahead.Store(max(0, c.ahead.Load()-jump))
	return time.Duration(jump)
}

// now returns the time of this clock in nanoseconds.
func (c *queueClock) now() int64 {
	wall, _ := c.read()
	return wall + c.ahead.Load()
}

// wall returns a time of this clock in that of the machine; zero stays zero.
func (c *queueClock) wall(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return decodeTime(n - c.ahead.Load())
}

// watchClock tells the log when the clock of the machine was set back.
func (w *writer) watchClock() {
	if jump := w.times.watch(); jump < 0 {
		w.log.Warn("the clock was set back: mails in queues wait for as long as they were meant to", "by", -jump)
	}
}

// clock returns the time in nanoseconds, never the same twice and never less
// than before: it gives the order of arrival.
func (w *writer) clock() int64 {
	w.lastTime = max(w.lastTime+1, w.times.now())
	return w.lastTime
}
