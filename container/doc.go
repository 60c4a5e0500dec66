// Package container is what the author of a mailet has to know: Mail, Address,
// attributes, Outbox, and the interfaces Mailet and Matcher. It runs nothing
// and opens nothing.
//
// The life of a mail, and who moves it:
//
//	SMTP (smtphooks/server)  receives it, judges it with hooks, commits it to
//	                         the queue spool; only then answers 250
//	container/spool          leases it and lets container/engine run it
//	container/engine         walks the processors: matchers select recipients,
//	                         mailets change the mail and fill the Outbox
//	container/spool          commits the outbox and removes the mail from the
//	                         spool, in one transaction
//	mailets/remote           leases what RemoteDelivery queued, delivers it, and
//	                         commits each outcome
//	repository               keeps what is parked until an operator moves it on
//
// # A mailet of one's own
//
//	type Stamp struct{ text string }
//
//	func newStamp(p *conf.Params) container.Mailet {
//		return &Stamp{text: p.Required("text")}
//	}
//
//	func (s *Stamp) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
//		m.Set("stamp", s.text)
//		return nil
//	}
//
//	func main() { cmd.Main(cmd.WithMailet("com.example.Stamp", newStamp)) }
package container
