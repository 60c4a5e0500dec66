package remote

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// stage is a step of a delivery attempt.
type stage int

const (
	stageRoute   stage = iota // finding the hosts
	stageConnect              // TCP
	stageGreeting
	stageHello // EHLO and HELO
	stageTLS   // STARTTLS and the handshake
	stageAuth
	stageMail
	stageRcpt
	stageData // the command
	stageBody // sending the message
	stageEnd  // the reply to the final dot
)

var stageNames = [...]string{"looking up the host", "connecting", "waiting for the greeting", "saying EHLO",
	"starting TLS", "authenticating", "sending MAIL", "sending RCPT", "sending DATA", "sending the message",
	"waiting for the reply to the message"}

func (s stage) String() string { return stageNames[s] }

// cause is a failure that no reply of a remote host stands for.
type cause struct {
	status    string // enhanced status code
	code      int    // reply code to pretend, where a standard names one
	permanent bool
	next      bool // another host may do better
	text      string
	err       error
}

func (c *cause) Error() string {
	if c.err != nil {
		return fmt.Sprintf("%s: %v", c.text, c.err)
	}
	return c.text
}

func (c *cause) Unwrap() error { return c.err }

// errMessage marks failures to read the message from our own store.
var errMessage = errors.New("cannot read the message")

// verdict is what a failure means for a recipient.
type verdict struct {
	permanent bool
	next      bool // try the recipient at the next host
	code      int
	status    string
	text      string
}

// judge decides what a failure at a stage means. It is the only place that
// decides between temporary and permanent, and whether another host is tried.
//
// The classes are James's (MailDelivrer), with these differences: another host
// is tried after a refused greeting or EHLO, and 552 in reply to RCPT is
// temporary only when no enhanced code says that it is permanent.
func judge(at stage, err error) verdict {
	var rep *smtp.SMTPError
	var c *cause
	switch {
	case errors.As(err, &rep):
		return judgeReply(at, rep)
	case errors.As(err, &c):
		return verdict{permanent: c.permanent, next: c.next, code: c.code, status: c.status, text: c.Error()}
	case errors.Is(err, errMessage):
		return verdict{status: "4.3.0", text: err.Error()}
	case errors.Is(err, dns.ErrTemporary):
		return verdict{status: "4.4.3", text: err.Error()}
	case errors.Is(err, errReply):
		return verdict{next: true, status: "4.5.0", text: fmt.Sprintf("%v while %s", err, at)}
	default: // timeouts, resets, TLS: the other side may recover
		return judgeBroken(at, err)
	}
}

func judgeReply(at stage, rep *smtp.SMTPError) verdict {
	v := verdict{code: rep.Code, text: rep.Message, status: enhancedOf(rep)}
	class := rep.Code / 100
	switch {
	case class == 4:
		v.next = at != stageAuth
	case class != 5:
		// A positive reply where none was possible: out of step.
		v.next, v.status = true, "4.5.0"
		return v
	case at == stageGreeting:
		// As James: a host that takes no mail now may do so later.
		v.next = true
	case at == stageHello:
		v.permanent, v.next = true, true
	case at == stageTLS:
		v.next = true
	case at == stageRcpt && rep.Code == 552 && !strings.HasPrefix(v.status, "5."):
		// RFC 5321 §4.5.3.1.10: 552 for too many recipients is taken as 452.
	default:
		v.permanent = true
	}
	if v.status == "" {
		v.status = defaultStatus(at, rep.Code, v.permanent)
	}
	return v
}

// judgeBroken is for connections that could not be made or broke. When the
// message was on its way in full, no other host is tried at once: this one may
// have taken it.
func judgeBroken(at stage, err error) verdict {
	v := verdict{next: at != stageEnd, status: "4.4.2"}
	if at == stageConnect || at == stageRoute {
		v.status = "4.4.1"
	}
	if at == stageTLS {
		v.status = "4.7.5"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("connection closed by remote host")
	}
	v.text = fmt.Sprintf("%v while %s", err, at)
	return v
}

func enhancedOf(rep *smtp.SMTPError) string {
	if rep.EnhancedCode == smtp.EnhancedCodeNotSet || rep.EnhancedCode == smtp.NoEnhancedCode {
		return ""
	}
	e := rep.EnhancedCode
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// defaultStatus stands in for the enhanced code that a reply does not have.
func defaultStatus(at stage, code int, permanent bool) string {
	status := map[int]string{421: "4.4.2", 450: "4.2.0", 451: "4.3.0", 452: "4.3.1",
		550: "5.7.1", 552: "5.2.2", 553: "5.1.3", 554: "5.0.0", 556: "5.1.10"}[code]
	switch {
	case code == 550 && at == stageRcpt:
		status = "5.1.1"
	case status == "":
		status = fmt.Sprintf("%d.0.0", code/100)
	}
	if !permanent && status[0] == '5' {
		status = "4" + status[1:]
	}
	return status
}

// outcome puts a verdict into the record of one recipient.
func (v verdict) outcome() container.Outcome {
	o := container.Outcome{Result: container.Deferred, Code: v.code, Enhanced: v.status, Text: v.text}
	if v.permanent {
		o.Result = container.Failed
	}
	return o
}
