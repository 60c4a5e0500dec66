package cmd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailetd/mailetd/container/ldap/ldaptest"
	"github.com/mailetd/mailetd/mailets/amqp/amqptest"
)

// partners are servers, besides mail servers, that a script has.
type partners struct {
	ldap *ldaptest.Server
	amqp *amqptest.Broker
}

// startLDAP starts a directory, $LDAP, with the entries of a file: a line with the
// name, lines "attribute: value", and an empty line.
func (w *world) startLDAP(ts *testscript.TestScript, args []string) {
	var entries []ldaptest.Entry
	for block := range strings.SplitSeq(ts.ReadFile(args[0]), "\n\n") {
		name, lines, _ := strings.Cut(strings.TrimSpace(block), "\n")
		e := ldaptest.Entry{Name: name, Attributes: map[string][]string{}}
		for line := range strings.SplitSeq(lines, "\n") {
			attribute, value, _ := strings.Cut(line, ": ")
			e.Attributes[attribute] = append(e.Attributes[attribute], value)
		}
		entries = append(entries, e)
	}
	if w.ldap == nil {
		w.ldap = ldaptest.New(w.t, nil)
	}
	w.ldap.Set(entries...)
	ts.Setenv("LDAP", w.ldap.Addr())
}

// failLDAP gives every search a result code from now on; 0 ends it.
func (w *world) failLDAP(ts *testscript.TestScript, args []string) {
	code, err := strconv.ParseUint(args[0], 10, 16)
	ts.Check(err)
	w.ldap.Fail(uint16(code))
}

// startAMQP starts a broker, $AMQP.
func (w *world) startAMQP(ts *testscript.TestScript, _ []string) {
	w.amqp = amqptest.New(w.t)
	ts.Setenv("AMQP", w.amqp.Addr())
}

// amqpMessages waits for N messages and prints the exchange, key and body of all;
// then it closes the connections.
func (w *world) amqpMessages(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var list []amqptest.Message
	ts.Check(poll(func() error {
		if list = w.amqp.Messages(w.t, 0); len(list) != n {
			return fmt.Errorf("%d messages, want %d", len(list), n)
		}
		return nil
	}))
	for _, m := range list {
		_, err := fmt.Fprintf(ts.Stdout(), "%s %s %s\n", m.Exchange, m.Key, m.Body)
		ts.Check(err)
	}
	w.amqp.Disconnect()
}
