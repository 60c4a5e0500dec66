package amqp

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// TestRabbitMQ publishes to the broker in MAILETD_TEST_AMQP, such as
// amqp://127.0.0.1:5672, if one is given, and gets the messages from a queue.
func TestRabbitMQ(t *testing.T) {
	uri := os.Getenv("MAILETD_TEST_AMQP")
	if uri == "" {
		return // TestPublish is all there is without it
	}
	const exchange = "mailetd.test"
	conn, err := amqp091.Dial(uri)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	channel, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	// It is there with another type: the publisher takes it as it is.
	if err := channel.ExchangeDeclare(exchange, "fanout", false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	queue, err := channel.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := channel.QueueBind(queue.Name, "", exchange, false, nil); err != nil {
		t.Fatal(err)
	}
	got, err := channel.Consume(queue.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{URIs: []string{"amqp://127.0.0.1:1", uri}, Exchange: exchange, RoutingKey: "k", Timeout: 20 * time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for _, want := range []string{"one", "two"} {
		if err := p.Publish(t.Context(), batch(want, "")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{want, ""} {
			if m := <-got; string(m.Body) != want || m.RoutingKey != "k" || m.DeliveryMode != amqp091.Persistent {
				t.Errorf("got %q with key %q and mode %d", m.Body, m.RoutingKey, m.DeliveryMode)
			}
		}
		p.session.end() // the next one needs a new connection
	}
}
