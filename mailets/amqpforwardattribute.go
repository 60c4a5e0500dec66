package mailets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/amqp"
)

// AmqpForwardAttribute publishes what an attribute holds to an exchange of an AMQP
// 0-9-1 broker, such as RabbitMQ: each value of a map, each item of a list, or a
// text, as a message of its own.
//
//	<mailet match="All" class="AmqpForwardAttribute">
//	  <uri>amqp://user:password@mq1.example.com:5672/mail,amqp://mq2.example.com</uri>
//	  <exchange>james:events</exchange>
//	  <exchange_type>topic</exchange_type>
//	  <routing_key>calendar</routing_key>
//	  <attribute>icalendarAsJson</attribute>
//	  <ignoreErrors>false</ignoreErrors>
//	  <timeout>5s</timeout>
//	</mailet>
//
// The values are octets, or texts, which are published in UTF-8. Those of a map come
// in the order of their keys. A mail without the attribute passes.
//
// Parameters:
//
//   - uri (required): comma list of brokers, amqp:// or amqps://, of which the first
//     that answers is used. One without user or virtual host has those of the first;
//     without any the user is guest. What is special in a URI is written %xx in a
//     password: a comma is %2C.
//   - exchange (required): name of the exchange. It is made, not durable, if it is
//     not there; one with other properties is used as it is, with a warning.
//   - exchange_type (default direct): direct, fanout, topic or headers.
//   - routing_key (default empty): routing key of the messages.
//   - attribute (required): name of the attribute.
//   - ignoreErrors (default true): what cannot be published is an error in the log
//     and the mail goes on. If false it is an error of the mailet, and
//     onMailetException says what becomes of the mail.
//   - timeout (default 5s): how long connecting and publishing may take for a mail.
//
// Differs from James: a broker that cannot be reached does not keep the server from
// starting; the mailet connects when there is something to publish, and again when
// the connection was lost. A message counts as published when the broker has
// confirmed it; it is marked as persistent. After a crash a mail may publish twice.
// Parameters ignoreErrors and timeout are ours.
type AmqpForwardAttribute struct {
	log          *slog.Logger
	publisher    *amqp.Publisher
	attribute    string
	ignoreErrors bool
}

func newAmqpForwardAttribute(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		a := &AmqpForwardAttribute{log: log, attribute: p.Required("attribute"), ignoreErrors: p.Bool("ignoreErrors", true)}
		p.Required("uri")
		c := amqp.Config{URIs: p.List("uri"), Exchange: p.Required("exchange"), Kind: p.String("exchange_type", amqp.Direct),
			RoutingKey: p.String("routing_key", ""), Timeout: timeLimit(p, "timeout", 5*time.Second), Log: log}
		if !slices.Contains(amqp.Kinds(), c.Kind) {
			p.Fail("exchange_type", fmt.Errorf("%q is none of direct, fanout, topic and headers", c.Kind))
			c.Kind = amqp.Direct
		}
		for name, v := range map[string]string{"exchange": c.Exchange, "routing_key": c.RoutingKey} {
			if len(v) > 255 { // a short string of AMQP
				p.Fail(name, errors.New("it is longer than 255 octets"))
			}
		}
		if len(c.URIs) > 0 {
			var err error
			if a.publisher, err = amqp.New(c); err != nil {
				p.Fail("uri", err)
			}
		}
		return a
	}
}

// Service publishes the attribute.
func (a *AmqpForwardAttribute) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	v, there := m.Attributes[a.attribute]
	if !there {
		return nil
	}
	messages, err := amqpMessages(v)
	if err != nil {
		return fmt.Errorf("attribute %s: %w", a.attribute, err)
	}
	if len(messages) == 0 {
		return nil
	}
	err = a.publisher.Publish(ctx, messages)
	if err != nil && a.ignoreErrors {
		a.log.ErrorContext(ctx, "attribute not published", "attribute", a.attribute, "messages", len(messages), "err", err)
		return nil
	}
	return err
}

// amqpMessages returns the messages that an attribute makes.
func amqpMessages(v container.Value) ([][]byte, error) {
	var values []container.Value
	switch t := v.(type) {
	case map[string]container.Value:
		for _, key := range slices.Sorted(maps.Keys(t)) {
			values = append(values, t[key])
		}
	case []container.Value:
		values = t
	case string:
		values = []container.Value{t}
	default:
		return nil, fmt.Errorf("it is a %T, not a map, a list or a text", v)
	}
	var out [][]byte
	for _, v := range values {
		switch t := v.(type) {
		case []byte:
			out = append(out, t)
		case string:
			out = append(out, []byte(t))
		default:
			return nil, fmt.Errorf("it holds a %T, not octets or texts", v)
		}
	}
	return out, nil
}

// Run implements container.Runner: it closes the connection when ctx is done.
func (a *AmqpForwardAttribute) Run(ctx context.Context) error { return a.publisher.Run(ctx) }
