package smtphooks

// Action is what a hook wants to be done.
type Action int

// The actions of a hook.
const (
	// Declined: the next hook decides; after the last one the command runs.
	Declined Action = iota
	// OK: no further hook is asked and the command runs.
	OK
	// Deny: permanent refusal, 554 unless the decision says otherwise.
	Deny
	// DenySoft: temporary refusal, 451 unless the decision says otherwise.
	DenySoft
	// None: no opinion. With Disconnect the connection ends.
	None
)

// Decision is the answer of a hook; the zero Decision declines. Code, Enhanced
// and Text make the reply to the client; Enhanced is left out when empty, Text
// may have several lines. Any decision with Disconnect is replied to, and then
// the connection ends.
//
// Source: org.apache.james.protocols.smtp.hook.HookResult.
type Decision struct {
	Action     Action
	Disconnect bool
	Code       int
	Enhanced   string
	Text       string
	Duplicate  bool // at RCPT, with OK: the recipient is there already and not added again
}

// Refuse returns a permanent refusal with this reply.
func Refuse(code int, enhanced, text string) Decision {
	return Decision{Action: Deny, Code: code, Enhanced: enhanced, Text: text}
}

// Defer returns a temporary refusal with this reply.
func Defer(code int, enhanced, text string) Decision {
	return Decision{Action: DenySoft, Code: code, Enhanced: enhanced, Text: text}
}

// trouble is the reply when a hook could not come to a decision, as in James
// when a handler throws.
func trouble() Decision { return Defer(451, "", "Unable to process request") }

// decides reports whether d ends the asking of hooks.
func (d Decision) decides() bool {
	return d.Disconnect || d.Action == OK || d.Action == Deny || d.Action == DenySoft
}

// Refuses reports whether the command must not run.
func (d Decision) Refuses() bool {
	return d.Disconnect || d.Action == Deny || d.Action == DenySoft
}

// Reply returns the code and text of the reply to the client, with James's
// default for what the decision leaves open.
func (d Decision) Reply() (code int, enhanced, text string) {
	code, text = 250, "Command accepted"
	switch {
	case d.Action == Deny:
		code, text = 554, "Email rejected"
	case d.Action == DenySoft:
		code, text = 451, "Temporary problem. Please try again later"
	case d.Action != OK && d.Disconnect:
		code, text = 554, "Server disconnected"
	}
	if d.Code != 0 {
		code = d.Code
	}
	if d.Text != "" {
		text = d.Text
	}
	return code, d.Enhanced, text
}
