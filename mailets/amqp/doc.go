// Package amqp publishes to an exchange of an AMQP 0-9-1 broker, such as RabbitMQ.
//
// A [Publisher] connects when there is something to publish, and again when the
// connection was lost meanwhile. It declares the exchange, asks for confirms, and
// has published a message only when the broker has said so. Every step is bounded
// by one time limit. After a connection could not be opened the next ones are
// spared the wait for a moment.
package amqp
