package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Option adds something of one's own to the program.
type Option func(*program)

// WithMailet adds a mailet class. Configurations name it by its full name.
func WithMailet(name string, f container.MailetFactory) Option {
	return func(p *program) {
		p.extend = append(p.extend, func(r *container.Registry) { r.Mailet(name, f) })
	}
}

// WithMatcher adds a matcher class. Configurations name it by its full name.
func WithMatcher(name string, f container.MatcherFactory) Option {
	return func(p *program) {
		p.extend = append(p.extend, func(r *container.Registry) { r.Matcher(name, f) })
	}
}

// Main runs the program with the arguments of the command line and exits: 0
// when all went well, 1 on an error, 2 when the command line is wrong.
//
// SIGINT and SIGTERM end the server in good order; a second one at once.
func Main(opts ...Option) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		// Some send the same signal twice at once, to the process and its group.
		for first := time.Now(); time.Since(first) < sameSignal; {
			<-signals
		}
		fmt.Fprintln(os.Stderr, "mailetd: second signal, stopping at once")
		os.Exit(1)
	}()
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, opts...))
}

// sameSignal is how long after the first signal another one counts as the same.
const sameSignal = 500 * time.Millisecond

// program is one call of the program.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	extend         []func(*container.Registry)
	command        string // that runs
}

// command is one subcommand.
type command struct {
	name, args, help string
	run              func(p *program, ctx context.Context, args []string) error
}

// commands are the subcommands, in the order of the help text.
var commands = []command{
	{"serve", "[-conf DIR] [-data DIR] [-D name=value]...", "run the server (the default command)", (*program).serve},
	{"check", "[-conf DIR] [-D name=value]...", "show every problem in the configuration; exit 1 on an error", (*program).check},
	{"user", "add|list|delete|password [-conf DIR] [-data DIR] [NAME]", "administer accounts; passwords are read from standard input", (*program).user},
	{"domain", "add|list|delete [-conf DIR] [-data DIR] [NAME]", "administer the domain list", (*program).domain},
	{"sieve", "put|get|list|activate|delete|check [-conf DIR] [-data DIR] [-activate] [USER [NAME [FILE]]]",
		"administer Sieve scripts; put reads FILE, - for standard input; activate without NAME activates none; check shows the mistakes of a FILE", (*program).sieve},
	{"queue", "list|show|flush|remove [-conf DIR] [-url URL] [-json] [QUEUE]", "look at mail queues of a running server and change them", administrator("queue")},
	{"repository", "list|mails|show|download|reprocess|move|create|remove|clear [-conf DIR] [-url URL] [-json] [PATH [KEY]]", "the same for mail repositories", administrator("repository")},
	{"mapping", "list|add|remove [-conf DIR] [-url URL] [-json] [TYPE SOURCE TARGET]", "the same for the recipient rewrite table", administrator("mapping")},
	{"task", "list|show|await|cancel [-conf DIR] [-url URL] [-json] [ID]", "the same for tasks", administrator("task")},
	{"backup", "[-data DIR] [-no-maildirs] FILE", "write all mail and settings of a server, which may be running, into FILE (.gz: compressed; -: standard output)", (*program).backup},
	{"restore", "[-data DIR] FILE", "make a data folder, which must be empty or missing, of what backup wrote", (*program).restore},
	{"version", "", "show the version", (*program).version},
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// verbError is a mistake on the command line whose text has the help needed.
type verbError struct{ text string }

func (e verbError) Error() string { return e.text }

// errQuiet ends a command with status 1 that has said what there is to say.
var errQuiet = errors.New("")

// Run runs one command and returns its exit status. It returns when ctx is
// done, after the server has come to rest.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, opts ...Option) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	for _, o := range opts {
		o(p)
	}
	err := p.dispatch(ctx, args)
	var usage usageError
	var verb verbError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errQuiet):
		return 1
	case errors.As(err, &verb):
		fmt.Fprintf(stderr, "mailetd: %v\n", err)
		return 2
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "mailetd: %v\n\n", err)
		p.usage(stderr, p.command)
		return 2
	default:
		fmt.Fprintf(stderr, "mailetd: %v\n", err)
		return 1
	}
}

func (p *program) dispatch(ctx context.Context, args []string) error {
	name := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	for _, c := range commands {
		if c.name == name {
			p.command = name
			return c.run(p, ctx, args)
		}
	}
	if name == "help" || len(args) > 0 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help") {
		p.usage(p.stdout, "")
		return nil
	}
	return usageError{fmt.Sprintf("there is no command %q", name)}
}

// usage shows one command, or all of them.
func (p *program) usage(w io.Writer, command string) {
	if command != "" {
		defer fmt.Fprintln(w, "\nmailetd help shows all commands.")
	} else {
		defer fmt.Fprintln(w, "\nWithout -conf the built-in configuration is used; without -data, ./var.")
	}
	fmt.Fprintln(w, "usage: mailetd [COMMAND] [ARGUMENTS]")
	for _, c := range commands {
		if command != "" && c.name != command {
			continue
		}
		fmt.Fprintf(w, "\n  mailetd %s\n        %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
	}
}

// flags are the options that several commands share.
type flags struct {
	*flag.FlagSet
	conf, data string
	props      map[string]string
	verbose    bool
}

func (p *program) flags(name string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError), props: map[string]string{}}
	f.SetOutput(p.stderr)
	f.StringVar(&f.conf, "conf", "", "folder with James's configuration files; empty: the built-in ones")
	f.StringVar(&f.data, "data", "var", "folder for everything the server keeps")
	f.BoolVar(&f.verbose, "v", false, "log every step of a mail (level debug)")
	f.Func("D", "set a system property, name=value, for ${sys:name}", func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok || k == "" {
			return fmt.Errorf("want name=value")
		}
		f.props[k] = v
		return nil
	})
	return f
}

// parse reads args; operands may be mixed with options. It returns the operands.
func (f *flags) parse(args []string) ([]string, error) {
	var operands []string
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err.Error()}
		}
		if f.NArg() == 0 {
			return operands, nil
		}
		operands = append(operands, f.Arg(0))
		args = f.Args()[1:]
	}
}
