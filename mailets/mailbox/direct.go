package mailbox

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// DeliverTo stores m in the box of one recipient, as Dispatch does, and leaves m
// as it is: the caller, who has to answer for this recipient, learns what failed.
func (d *Dispatcher) DeliverTo(ctx context.Context, m *container.Mail, rcpt container.Address) error {
	if err := d.deliver(ctx, m, mime.Remove(m.Message.Header(), "Return-Path"), rcpt); err != nil {
		return err
	}
	d.Delivered()
	return nil
}

// Status returns the enhanced status code (RFC 3463) of an error of DeliverTo.
func Status(err error) string {
	enhanced, _ := classify(err)
	return enhanced
}
