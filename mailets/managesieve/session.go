package managesieve

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container/local"
)

// maxScripts bounds how many scripts a user can have.
const maxScripts = 100

// Session runs the commands of one user.
type Session struct {
	Store local.SieveStorage
	User  string // account; "": nobody has authenticated, and only CAPABILITY is answered
	// Check tells what is wrong with a script.
	Check      func(script []byte) error
	Extensions []string // what scripts may require
	// Script is what came with the command; nil: nothing did.
	Script []byte
}

// reply is an answer that ends a command without success.
type reply struct{ text string }

func (r reply) Error() string { return r.text }

// Execute runs a command and returns the reply, lines with CRLF between them, of
// which the last begins with OK or NO. What goes wrong in the store is an error.
func (s *Session) Execute(ctx context.Context, line string) (string, error) {
	text, err := s.execute(ctx, line)
	var no reply
	switch {
	case errors.As(err, &no):
		return "NO " + no.text, nil
	case errors.Is(err, local.ErrNotFound):
		return `NO (NONEXISTENT) "There is no script by that name"`, nil
	case errors.Is(err, local.ErrScriptExists):
		return `NO (ALREADYEXISTS) "A script with that name already exists"`, nil
	case errors.Is(err, local.ErrScriptActive):
		return `NO (ACTIVE) "You may not delete an active script"`, nil
	case errors.Is(err, local.ErrQuota):
		return `NO (QUOTA/MAXSIZE) "Quota exceeded"`, nil
	case err != nil:
		return "", err
	}
	return text + "OK", nil
}

// commands says how many arguments each command has.
var commands = map[string]int{
	"CAPABILITY": 0, "HAVESPACE": 2, "PUTSCRIPT": 1, "LISTSCRIPTS": 0, "SETACTIVE": 1,
	"GETSCRIPT": 1, "DELETESCRIPT": 1, "RENAMESCRIPT": 2, "CHECKSCRIPT": 0,
}

func (s *Session) execute(ctx context.Context, line string) (string, error) {
	args, err := arguments(line)
	if err != nil {
		return "", err
	}
	if len(args) == 0 {
		return "", reply{`"There is no command"`}
	}
	name := strings.ToUpper(args[0])
	n, ok := commands[name]
	switch args = args[1:]; {
	case !ok:
		return "", reply{quoted("unknown command " + args0(line))}
	case name == "CAPABILITY":
		return s.capability(), nil
	case s.User == "":
		return "", reply{`"Authenticate first"`}
	case len(args) != n:
		return "", reply{quoted(fmt.Sprintf("%s takes %d arguments, not %d", name, n, len(args)))}
	}
	switch name {
	case "LISTSCRIPTS":
		return s.list(ctx)
	case "CHECKSCRIPT":
		return "", s.check()
	case "SETACTIVE":
		return "", s.Store.ActivateSieveScript(ctx, s.User, args[0])
	case "GETSCRIPT":
		_, text, err := s.Store.SieveScript(ctx, s.User, args[0])
		return literal(string(text)) + "\r\n", err
	case "DELETESCRIPT":
		return "", s.Store.DeleteSieveScript(ctx, s.User, args[0])
	case "RENAMESCRIPT":
		if err := checkName(args[1]); err != nil {
			return "", err
		}
		return "", s.Store.RenameSieveScript(ctx, s.User, args[0], args[1])
	case "HAVESPACE":
		return "", s.haveSpace(ctx, args[0], args[1])
	default:
		return "", s.put(ctx, args[0])
	}
}

// args0 returns the first word of a line, not too much of it.
func args0(line string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
	return strings.ToValidUTF8(word[:min(len(word), 40)], "")
}

func checkName(name string) error {
	if err := local.CheckScriptName(name); err != nil {
		return reply{quoted(err.Error())}
	}
	return nil
}

// capability tells what this is (RFC 5804 §1.7).
func (s *Session) capability() string {
	out := "\"IMPLEMENTATION\" \"mailetd\"\r\n\"SIEVE\" " + quoted(strings.Join(s.Extensions, " ")) + "\r\n\"VERSION\" \"1.0\"\r\n"
	if s.User != "" {
		out += `"OWNER" ` + quoted(s.User) + "\r\n"
	}
	return out
}

func (s *Session) list(ctx context.Context) (string, error) {
	list, err := s.Store.SieveScripts(ctx, s.User)
	var b strings.Builder
	for _, sc := range list {
		b.WriteString(quoted(sc.Name))
		if sc.Active {
			b.WriteString(" ACTIVE")
		}
		b.WriteString("\r\n")
	}
	return b.String(), err
}

// check refuses a script that is missing or has mistakes.
func (s *Session) check() error {
	if s.Script == nil {
		return reply{`"There is no script with the command"`}
	}
	if err := s.Check(s.Script); err != nil {
		return reply{quoted("Syntax Error: " + err.Error())}
	}
	return nil
}

func (s *Session) put(ctx context.Context, name string) error {
	if err := errors.Join(checkName(name), s.check()); err != nil {
		return err
	}
	if err := s.room(ctx, name, int64(len(s.Script))); err != nil {
		return err
	}
	return s.Store.PutSieveScript(ctx, s.User, name, s.Script)
}

func (s *Session) haveSpace(ctx context.Context, name, size string) error {
	n, err := strconv.ParseUint(strings.Trim(size, "{+}"), 10, 32) // RFC 5804 §4: number
	if err != nil {
		return reply{quoted(size + " is no size")}
	}
	if err := checkName(name); err != nil {
		return err
	}
	return s.room(ctx, name, int64(n))
}

// room reports whether there is room for a script of a size.
func (s *Session) room(ctx context.Context, name string, size int64) error {
	list, err := s.Store.SieveScripts(ctx, s.User)
	if err != nil {
		return err
	}
	others := 0
	for _, sc := range list {
		if sc.Name != name {
			others++
			size += sc.Size
		}
	}
	if others >= maxScripts {
		return reply{fmt.Sprintf(`(QUOTA/MAXSCRIPTS) "There can be %d scripts"`, maxScripts)}
	}
	quota, err := s.Store.SieveQuota(ctx, s.User)
	if err == nil && quota < 0 {
		quota, err = s.Store.SieveQuota(ctx, "")
	}
	if err == nil && quota >= 0 && size > quota {
		err = local.ErrQuota
	}
	return err
}
