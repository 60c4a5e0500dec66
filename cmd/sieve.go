package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/mailets/sieve"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// maxScript bounds a script that is read, in octets.
const maxScript = 1 << 20

// checkSieve tells what is wrong with a script, a line for each mistake.
func checkSieve(text []byte) error {
	_, err := sieve.Compile(text, sieve.Limits{})
	return err
}

// scripts is what the command sieve does: through webadmin when a server holds the
// store, in the store itself when none does.
type scripts interface {
	List(ctx context.Context, user string) ([]scriptInfo, error)
	Get(ctx context.Context, user, name string) ([]byte, error)
	Put(ctx context.Context, user, name string, text []byte, activate bool) error
	Activate(ctx context.Context, user, name string) error // "" activates none
	Delete(ctx context.Context, user, name string) error
}

type scriptInfo struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Active bool   `json:"active"`
}

// sieveUsage says how many operands each verb takes.
var sieveUsage = map[string]struct {
	operands string
	min, max int
}{
	"put":      {"USER NAME FILE", 3, 3},
	"get":      {"USER NAME", 2, 2},
	"list":     {"USER", 1, 1},
	"activate": {"USER [NAME]", 1, 2},
	"delete":   {"USER NAME", 2, 2},
	"check":    {"FILE...", 1, 1 << 20},
}

// sieve is mailetd sieve put|get|list|activate|delete|check.
func (p *program) sieve(ctx context.Context, args []string) error {
	f := p.flags("sieve")
	activate := f.Bool("activate", false, "make the script that is put the active one")
	operands, err := f.parse(args)
	if err != nil {
		return err
	}
	if len(operands) == 0 {
		return usageError{"sieve needs to know what to do"}
	}
	what, operands := operands[0], operands[1:]
	u, ok := sieveUsage[what]
	switch {
	case !ok:
		return usageError{"there is no sieve " + what}
	case len(operands) < u.min || len(operands) > u.max:
		return usageError{fmt.Sprintf("sieve %s takes %s", what, u.operands)}
	case what == "check":
		return p.checkScripts(operands)
	}
	var text []byte
	if what == "put" { // before the store is opened: whoever types it takes time
		if text, err = p.script(operands[2]); err != nil {
			return err
		}
	}
	s, closeStore, err := p.scripts(ctx, f)
	if err != nil {
		return err
	}
	operands = append(operands, "")
	return errors.Join(p.runSieve(ctx, s, what, operands[0], operands[1], text, *activate), closeStore())
}

func (p *program) runSieve(ctx context.Context, s scripts, what, user, name string, text []byte, activate bool) error {
	switch what {
	case "put":
		return s.Put(ctx, user, name, text, activate)
	case "activate":
		return s.Activate(ctx, user, name)
	case "delete":
		return s.Delete(ctx, user, name)
	case "get":
		text, err := s.Get(ctx, user, name)
		if err == nil {
			_, err = p.stdout.Write(text)
		}
		return err
	default:
		list, err := s.List(ctx, user)
		for _, sc := range list {
			mark := " "
			if sc.Active {
				mark = "*"
			}
			fmt.Fprintf(p.stdout, "%s %8d %s\n", mark, sc.Size, sc.Name)
		}
		return err
	}
}

// checkScripts shows the mistakes of scripts, as file:line:column: text.
func (p *program) checkScripts(files []string) error {
	bad := false
	for _, file := range files {
		text, err := p.script(file)
		if err != nil {
			return err
		}
		if err := checkSieve(text); err != nil {
			bad = true
			for line := range strings.SplitSeq(err.Error(), "\n") {
				fmt.Fprintf(p.stdout, "%s:%s\n", file, line)
			}
		}
	}
	if bad {
		return errQuiet
	}
	return nil
}

// script reads a file, or standard input for -.
func (p *program) script(file string) ([]byte, error) {
	in := p.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxScript+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > maxScript {
		return nil, fmt.Errorf("%s is larger than %d octets: no script is", file, maxScript)
	}
	return text, nil
}

// scripts opens the store, or, when a server has it, speaks to that server.
func (p *program) scripts(ctx context.Context, f *flags) (scripts, func() error, error) {
	s, store, d, err := p.openStore(ctx, f)
	switch {
	case err != nil:
		return nil, nil, err
	case store == nil:
		return remoteScripts{newRemoteAccounts(s.web)}, func() error { return nil }, nil
	}
	return directScripts{store, d}, func() error { return store.Close(ctx) }, nil
}

// directScripts is the store itself.
type directScripts struct {
	store *sqlite.Store
	users *local.Directory
}

// user returns the name of an account that exists.
func (s directScripts) user(ctx context.Context, name string) (string, error) {
	name = strings.ToLower(name)
	known, err := s.users.HasUser(ctx, name)
	if err == nil && !known {
		err = fmt.Errorf("%s: %w", name, local.ErrNoSuchUser)
	}
	return name, err
}

// List lists the scripts of a user.
func (s directScripts) List(ctx context.Context, user string) ([]scriptInfo, error) {
	user, err := s.user(ctx, user)
	if err != nil {
		return nil, err
	}
	list, err := s.store.SieveScripts(ctx, user)
	out := make([]scriptInfo, len(list))
	for i, sc := range list {
		out[i] = scriptInfo{sc.Name, sc.Size, sc.Active}
	}
	return out, err
}

// Get returns the text of a script.
func (s directScripts) Get(ctx context.Context, user, name string) ([]byte, error) {
	user, err := s.user(ctx, user)
	if err != nil {
		return nil, err
	}
	_, text, err := s.store.SieveScript(ctx, user, name)
	return text, err
}

// Put stores a script that compiles.
func (s directScripts) Put(ctx context.Context, user, name string, text []byte, activate bool) error {
	user, err := s.user(ctx, user)
	if err != nil {
		return err
	}
	if err := errors.Join(local.CheckScriptName(name), checkSieve(text)); err != nil {
		return err
	}
	if err := s.store.PutSieveScript(ctx, user, name, text); err != nil || !activate {
		return err
	}
	return s.store.ActivateSieveScript(ctx, user, name)
}

// Activate makes a script the active one.
func (s directScripts) Activate(ctx context.Context, user, name string) error {
	user, err := s.user(ctx, user)
	if err != nil {
		return err
	}
	return s.store.ActivateSieveScript(ctx, user, name)
}

// Delete deletes a script.
func (s directScripts) Delete(ctx context.Context, user, name string) error {
	user, err := s.user(ctx, user)
	if err != nil {
		return err
	}
	return s.store.DeleteSieveScript(ctx, user, name)
}

// remoteScripts speaks webadmin.
type remoteScripts struct{ remoteAccounts }

func scriptPath(user, name string) string {
	return "/sieve/" + url.PathEscape(user) + "/scripts/" + url.PathEscape(name)
}

// List lists the scripts of a user.
func (s remoteScripts) List(ctx context.Context, user string) (list []scriptInfo, err error) {
	data, err := s.exchange(ctx, http.MethodGet, strings.TrimSuffix(scriptPath(user, ""), "/"), nil)
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	return list, err
}

// Get returns the text of a script.
func (s remoteScripts) Get(ctx context.Context, user, name string) ([]byte, error) {
	return s.exchange(ctx, http.MethodGet, scriptPath(user, name), nil)
}

// Put stores a script that compiles.
func (s remoteScripts) Put(ctx context.Context, user, name string, text []byte, activate bool) error {
	path := scriptPath(user, name)
	if activate {
		path += "?activate=true"
	}
	_, err := s.exchange(ctx, http.MethodPut, path, text)
	return err
}

// Activate makes a script the active one.
func (s remoteScripts) Activate(ctx context.Context, user, name string) error {
	query := "?action=activate"
	if name == "" {
		query = "?action=deactivate"
		list, err := s.List(ctx, user)
		i := slices.IndexFunc(list, func(sc scriptInfo) bool { return sc.Active })
		if err != nil || i < 0 {
			return err
		}
		name = list[i].Name
	}
	_, err := s.exchange(ctx, http.MethodPost, scriptPath(user, name)+query, nil)
	return err
}

// Delete deletes a script.
func (s remoteScripts) Delete(ctx context.Context, user, name string) error {
	_, err := s.exchange(ctx, http.MethodDelete, scriptPath(user, name), nil)
	return err
}
