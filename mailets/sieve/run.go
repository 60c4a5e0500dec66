package sieve

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Env is what a script can know.
type Env struct {
	Message *container.Message
	From    container.Address // reverse-path; null for none
	To      container.Address // forward-path as it came
	Auth    string            // name the sender authenticated with, "" for none
	// Now is the time of the run; its zone is the local one of dates.
	Now time.Time
	// FolderExists says whether a folder is there (mailboxexists). Nil: all are,
	// as for a store that makes folders when mail for them comes.
	FolderExists func(name string) (bool, error)
}

// Kind says what an Action does.
type Kind int

// The kinds of actions.
const (
	Keep     Kind = iota // store in the inbox
	FileInto             // store in Folder
	Redirect             // send to Address
	Reject               // refuse with Text
	Discard              // nothing; it only ends the implicit keep
	Reply                // answer as Vacation says
)

// String returns the name of the command that does it.
func (k Kind) String() string {
	return [...]string{"keep", "fileinto", "redirect", "reject", "discard", "vacation"}[k]
}

// Action is one thing that a script wants done.
type Action struct {
	Kind     Kind
	Line     int  // of the command; 0 for the implicit keep
	Implicit bool // of Keep: no command said it
	Folder   string
	Create   bool // FileInto: make the folder when it is not there
	Address  container.Address
	Text     string // of Reject
	Extended bool   // Reject came from ereject
	// Flags are IMAP flags of Keep and FileInto. HasFlags tells no flags from
	// flags that nobody spoke of.
	Flags    []string
	HasFlags bool
	// Header is the header the action works with when the script changed it; nil
	// for that of the message.
	Header   []byte
	Vacation *Vacation
}

// Vacation is an answer to the sender (RFC 5230).
type Vacation struct {
	Period    time.Duration // until the same sender is answered again
	Subject   string        // "" for a default
	From      string        // "" for the user
	Addresses []container.Address
	MIME      bool // Text is a MIME entity
	Text      string
	Handle    string // never empty: made of the other arguments by default
}

// Result is what becomes of a message. Actions are in the order of the script,
// each once; the implicit keep is among them.
type Result struct{ Actions []Action }

// ErrBudget is wrapped by the error of a script that does too much.
var ErrBudget = errors.New("the script takes too much time")

// errStop ends a script (command stop).
var errStop = errors.New("stop")

// run is one execution.
type run struct {
	ctx       context.Context
	script    *Script
	env       Env
	steps     int
	here      position // command at work, for errors without a place
	actions   []Action
	cancelled bool // no implicit keep
	redirects int

	variables map[string]string
	matched   []string // match variables
	flags     []string
	flagsSet  bool

	header    []byte
	edited    bool
	edits     int
	index     map[string][]string // field values, decoded of nothing
	decoded   map[string][]string
	addresses map[string][]address
	parts     *bodyParts
}

// Run says what the script wants done with a message. On an error nothing should
// be done but keep the message (RFC 5228 §2.10.6). The error is an *Error, or that
// of ctx, which is looked at with each command and test.
func (s *Script) Run(ctx context.Context, env Env) (Result, error) {
	r := &run{ctx: ctx, script: s, env: env, steps: s.limits.Steps, variables: map[string]string{}, header: env.Message.Header()}
	err := r.block(s.calls)
	if err != nil && !errors.Is(err, errStop) {
		if e := (*Error)(nil); errors.As(err, &e) || ctx.Err() != nil {
			return Result{}, err
		}
		return Result{}, r.fail(err)
	}
	if !r.cancelled {
		if err := r.store(Action{Kind: Keep, Implicit: true}, nil); err != nil {
			return Result{}, err
		}
	}
	return Result{r.actions}, nil
}

// spend takes n from the budget.
func (r *run) spend(n int) error {
	if r.steps -= n; r.steps < 0 {
		return r.fail(ErrBudget)
	}
	return nil
}

// fail gives an error the place of the command at work.
func (r *run) fail(err error) error {
	return &Error{Line: r.here.line, Column: r.here.column, Text: err.Error(), cause: err}
}

// block runs commands that follow each other.
func (r *run) block(calls []*call) error {
	taken := false // a branch of the last if was
	for _, c := range calls {
		if err := r.enter(c); err != nil {
			return err
		}
		switch c.spec.name {
		case "if", "elsif", "else":
			ok := c.spec.name == "else" && !taken
			if c.spec.name == "if" || c.spec.name == "elsif" && !taken {
				var err error
				if ok, err = r.test(c.tests[0]); err != nil {
					return err
				}
			}
			taken = ok || taken && c.spec.name != "if"
			if !ok {
				continue
			}
			if err := r.block(c.block); err != nil {
				return err
			}
		default:
			if err := c.spec.exec(r, c); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter notes what is at work, and sees to the end of the time.
func (r *run) enter(c *call) error {
	r.here = c.pos
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return r.spend(10)
}

func (r *run) test(c *call) (bool, error) {
	if err := r.enter(c); err != nil {
		return false, err
	}
	return c.spec.eval(r, c)
}

// values returns the values of all fields called name as a script sees them:
// unfolded, decoded, without blanks around (RFC 5228 §2.7.2, §5.7).
func (r *run) values(name string) ([]string, error) {
	name = strings.ToLower(name)
	if list, ok := r.decoded[name]; ok {
		return list, nil
	}
	raw, err := r.raw(name)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(raw))
	for i, v := range raw {
		if err := r.spend(fieldCost/4 + len(v)); err != nil {
			return nil, err
		}
		list[i] = strings.TrimSpace(mime.DecodeText(v))
	}
	if r.decoded == nil {
		r.decoded = map[string][]string{}
	}
	r.decoded[name] = list
	return list, nil
}

// fieldCost is what it costs to read one field of the header, however short it is.
const fieldCost = 16

// raw returns the unfolded values of the fields called name, in lower case. The
// header is read once for all names.
func (r *run) raw(name string) ([]string, error) {
	if r.index == nil {
		if err := r.spend(len(r.header) / 4); err != nil {
			return nil, err
		}
		r.index = map[string][]string{}
		for f := range mime.Fields(r.header) {
			if err := r.spend(fieldCost); err != nil {
				r.index = nil
				return nil, err
			}
			key := strings.ToLower(string(f.Name))
			r.index[key] = append(r.index[key], f.Value())
		}
	}
	return r.index[name], nil
}

// setHeader changes the header that the commands that follow work with.
func (r *run) setHeader(h []byte) {
	r.header, r.edited = h, true
	r.index, r.decoded, r.addresses = nil, nil, nil
}
