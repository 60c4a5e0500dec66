package remote

import (
	"context"
	"log/slog"
	"strconv"
)

// traceIn and trace log the conversation: at level debug, or at info when the
// configuration asks for it. Message text and credentials never get here.
func (c *conn) traceIn(rep reply) {
	if level, on := c.in.traceLevel(); on {
		c.log(level, "smtp in", strconv.Itoa(rep.code)+" "+rep.enhanced+" "+rep.text)
	}
}

func (c *conn) trace(msg, line string) {
	if level, on := c.in.traceLevel(); on {
		c.log(level, msg, line)
	}
}

func (c *conn) log(level slog.Level, msg, line string) {
	c.in.log.LogAttrs(context.Background(), level, msg, slog.String("relay", c.relay()), slog.String("line", line))
}

// traceLevel returns the level of the conversation, and whether it is logged.
func (in *Instance) traceLevel() (slog.Level, bool) {
	level := slog.LevelDebug
	if in.cfg.Debug {
		level = slog.LevelInfo
	}
	return level, in.log.Enabled(context.Background(), level)
}
