package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
)

// The commands queue, repository, mapping and task are thin clients of webadmin:
// a table of verbs, each of which is one call. With -json they show what the
// server answers, without it a table for people.

// adminVerb is one thing that can be done.
type adminVerb struct {
	name     string
	operands []string // their names; "[KEY]" may be left out
	method   string
	path     string   // {0}, {1}... are the operands
	query    string   // parameters that are always there
	params   []string // options that become parameters of the same name
	body     string   // with operands
	columns  []string // keys of the answer that a table shows
	help     string
	// run does it instead, for what takes more than one call.
	run func(a *admin, ctx context.Context, operands []string) error
}

var (
	mailParams = []string{"sender", "recipient", "remoteAddress", "remoteHost", "state", "attribute", "updatedBefore", "updatedAfter"}
	itemParams = []string{"sender", "recipient", "name", "host", "state", "attribute", "enqueuedBefore", "enqueuedAfter"}
)

// adminVerbs are the verbs by command.
var adminVerbs = map[string][]adminVerb{
	"queue": {
		{name: "list", help: "queues and how many mails they hold", run: (*admin).queues},
		{name: "show", operands: []string{"QUEUE"}, method: "GET", path: "/mailQueues/{0}/mails", params: append([]string{"delayed", "limit"}, itemParams...),
			columns: []string{"name", "sender", "recipients", "nextDelivery"}, help: "mails of a queue"},
		{name: "flush", operands: []string{"QUEUE"}, method: "PATCH", path: "/mailQueues/{0}/mails", query: "delayed=true", body: `{"delayed":false}`, help: "try all delayed mails now"},
		{name: "remove", operands: []string{"QUEUE"}, params: append([]string{"all"}, itemParams...), help: "remove the mails that the options select, or -all", run: (*admin).removeFromQueue},
	},
	"repository": {
		{name: "list", help: "repositories and how many mails they hold", run: (*admin).repositories},
		{name: "mails", operands: []string{"PATH"}, method: "GET", path: "/mailRepositories/{0}/mails", params: append([]string{"limit", "offset"}, mailParams...), help: "keys of mails"},
		{name: "show", operands: []string{"PATH", "KEY"}, method: "GET", path: "/mailRepositories/{0}/mails/{1}", params: []string{"additionalFields"}, help: "one mail: envelope, error and what -additionalFields names"},
		{name: "download", operands: []string{"PATH", "KEY"}, help: "write the message to standard output", run: (*admin).download},
		{name: "reprocess", operands: []string{"PATH", "[KEY]"}, method: "PATCH", path: "/mailRepositories/{0}/mails/{1}", query: "action=reprocess",
			params: append([]string{"processor", "queue", "consume", "limit", "maxRetries", "forRecipient"}, mailParams...), help: "send mails through a processor again"},
		{name: "move", operands: []string{"PATH", "TO", "[KEY]"}, method: "PATCH", path: "/mailRepositories/{0}/mails/{2}", body: `{"mailRepository":"{1}"}`, help: "move mails to another repository"},
		{name: "create", operands: []string{"PATH"}, method: "PUT", path: "/mailRepositories/{0}", params: []string{"protocol"}, help: "make a repository; -protocol file"},
		{name: "remove", operands: []string{"PATH", "KEY"}, method: "DELETE", path: "/mailRepositories/{0}/mails/{1}", help: "remove one mail"},
		{name: "clear", operands: []string{"PATH"}, method: "DELETE", path: "/mailRepositories/{0}/mails", help: "remove all mails"},
	},
	"mapping": {
		{name: "list", operands: []string{"[SOURCE]"}, help: "mappings, all or those of one source", run: (*admin).mappings},
		{name: "add", operands: []string{"TYPE", "SOURCE", "TARGET"}, help: "TYPE is alias, forward, group, address, regex, domain or domainalias", run: (*admin).addMapping},
		{name: "remove", operands: []string{"TYPE", "SOURCE", "TARGET"}, help: "the same", run: (*admin).removeMapping},
	},
	"task": {
		{name: "list", method: "GET", path: "/tasks", params: []string{"status", "type", "limit", "offset"}, columns: []string{"taskId", "type", "status", "submitDate", "startedDate"}, help: "tasks, the newest first"},
		{name: "show", operands: []string{"ID"}, method: "GET", path: "/tasks/{0}", help: "one task"},
		{name: "await", operands: []string{"ID"}, help: "wait until a task is over; exit 1 when it did not complete", run: (*admin).awaitTask},
		{name: "cancel", operands: []string{"ID"}, method: "DELETE", path: "/tasks/{0}", help: "ask a task to end"},
	},
}

// admin is one call of such a command.
type admin struct {
	p      *program
	api    remoteAccounts
	json   bool
	detach bool
	values url.Values // of the options that are parameters
}

// administrator returns the run function of a command.
func administrator(noun string) func(*program, context.Context, []string) error {
	return func(p *program, ctx context.Context, args []string) error { return p.runAdmin(ctx, noun, args) }
}

func (p *program) runAdmin(ctx context.Context, noun string, args []string) error {
	verbs := adminVerbs[noun]
	if len(args) == 1 && slices.Contains([]string{"-h", "-help", "--help", "help"}, args[0]) {
		_, err := fmt.Fprint(p.stdout, verbHelp(noun, verbs))
		return err
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return verbError{noun + " needs to know what to do:\n" + verbHelp(noun, verbs)}
	}
	i := slices.IndexFunc(verbs, func(v adminVerb) bool { return v.name == args[0] })
	if i < 0 {
		return verbError{fmt.Sprintf("there is no %s %s:\n%s", noun, args[0], verbHelp(noun, verbs))}
	}
	v := verbs[i]
	f := p.flags(noun + " " + v.name)
	a := &admin{p: p, values: url.Values{}}
	base := f.String("url", "", "webadmin's address, such as https://mail.example.com:8000; default: as webadmin.properties says, or $MAILETD_URL")
	f.BoolVar(&a.json, "json", false, "show the server's answer")
	f.BoolVar(&a.detach, "detach", false, "do not wait for the task")
	for _, name := range v.params {
		f.Func(name, "see the call in docs/webadmin.md", func(s string) error {
			if s == "" {
				return errors.New("it is empty")
			}
			a.values.Set(name, s)
			return nil
		})
	}
	operands, err := f.parse(boolValues(v, args[1:]))
	if err != nil {
		return err
	}
	least := len(slices.DeleteFunc(slices.Clone(v.operands), func(s string) bool { return strings.HasPrefix(s, "[") }))
	if len(operands) < least || len(operands) > len(v.operands) {
		return verbError{fmt.Sprintf("wrong number of operands:\n%s", verbHelp(noun, []adminVerb{v}))}
	}
	if slices.Contains(operands, "") {
		return verbError{fmt.Sprintf("an operand is empty:\n%s", verbHelp(noun, []adminVerb{v}))}
	}
	if a.api, err = p.client(f, *base); err != nil {
		return err
	}
	if v.run != nil {
		return v.run(a, ctx, operands)
	}
	return a.call(ctx, v, operands)
}

// boolValues lets -all and -delayed stand alone.
func boolValues(v adminVerb, args []string) []string {
	var out []string
	for _, a := range args {
		if name := strings.TrimLeft(a, "-"); a != name && (name == "all" || name == "delayed") && slices.Contains(v.params, name) {
			a += "=true"
		}
		out = append(out, a)
	}
	return out
}

func verbHelp(noun string, verbs []adminVerb) string {
	var b strings.Builder
	for _, v := range verbs {
		fmt.Fprintf(&b, "  mailetd %s\n        %s", strings.Join(append([]string{noun, v.name}, v.operands...), " "), v.help)
		if len(v.params) > 0 {
			fmt.Fprintf(&b, "; options -%s", strings.Join(v.params, " -"))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// client returns the client of the server that the options, the environment or
// the configuration name.
func (p *program) client(f *flags, base string) (remoteAccounts, error) {
	if base == "" {
		base = os.Getenv("MAILETD_URL")
	}
	var a remoteAccounts
	if base == "" {
		r := &conf.Report{}
		s := p.load(f, slog.New(slog.DiscardHandler), r)
		if r.HasErrors() {
			return a, fmt.Errorf("the configuration has errors: %s", r.Problems()[0])
		}
		if !s.web.Enabled {
			return a, errors.New("webadmin is off: enabled is not true in webadmin.properties")
		}
		a = newRemoteAccounts(s.web)
	} else {
		a.base = strings.TrimRight(base, "/")
	}
	a.environment()
	return a, nil
}

// environment takes credentials from the environment.
func (a *remoteAccounts) environment() {
	if s := os.Getenv("MAILETD_PASSWORD"); s != "" {
		a.secret = s
	}
	a.token = os.Getenv("MAILETD_TOKEN")
}

// fill puts operands, escaped by with, into a template. What is left out is
// nothing, and so is the slash before it.
func fill(template string, operands []string, with func(string) string) string {
	var pairs []string
	for i := range 3 {
		place := fmt.Sprintf("{%d}", i)
		if i < len(operands) {
			pairs = append(pairs, place, with(operands[i]))
		} else {
			pairs = append(pairs, "/"+place, "", place, "")
		}
	}
	return strings.NewReplacer(pairs...).Replace(template)
}

func quoteJSON(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b[1 : len(b)-1])
}

// call makes the one call of v and shows the answer.
func (a *admin) call(ctx context.Context, v adminVerb, operands []string) error {
	path := fill(v.path, operands, url.PathEscape)
	query := a.values.Encode()
	if v.query != "" {
		query = strings.TrimSuffix(v.query+"&"+query, "&")
	}
	if query != "" {
		path += "?" + query
	}
	res, err := a.api.open(ctx, v.method, path, strings.NewReader(fill(v.body, operands, quoteJSON)), "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusCreated {
		return a.task(ctx, res.Body)
	}
	return a.show(res.Body, v.columns)
}

// download writes a message to standard output.
func (a *admin) download(ctx context.Context, operands []string) error {
	res, err := a.api.open(ctx, http.MethodGet, fill("/mailRepositories/{0}/mails/{1}", operands, url.PathEscape), nil, "message/rfc822")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(a.p.stdout, res.Body)
	return err
}

// removeFromQueue wants to be told what to remove.
func (a *admin) removeFromQueue(ctx context.Context, operands []string) error {
	all := a.values.Get("all") == "true"
	a.values.Del("all")
	if selects := len(a.values) > 0; all == selects {
		return verbError{"queue remove takes -all, or options that select mails"}
	}
	return a.call(ctx, adminVerb{method: http.MethodDelete, path: "/mailQueues/{0}/mails"}, operands)
}

// sized is a line of the lists of queues and repositories.
type sized struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// sizes asks for the size of each and shows them.
func (a *admin) sizes(ctx context.Context, path string, names []string) error {
	list := make([]sized, len(names))
	for i, n := range names {
		if err := a.api.call(ctx, http.MethodGet, path+"/"+url.PathEscape(n), nil, &list[i]); err != nil {
			return err
		}
		list[i].Name = n
	}
	b, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return a.show(strings.NewReader(string(b)), []string{"name", "size"})
}

func (a *admin) queues(ctx context.Context, _ []string) error {
	var names []string
	if err := a.api.call(ctx, http.MethodGet, "/mailQueues", nil, &names); err != nil {
		return err
	}
	return a.sizes(ctx, "/mailQueues", names)
}

func (a *admin) repositories(ctx context.Context, _ []string) error {
	var list []struct{ Repository string }
	if err := a.api.call(ctx, http.MethodGet, "/mailRepositories", nil, &list); err != nil {
		return err
	}
	names := make([]string, len(list))
	for i, r := range list {
		names[i] = r.Repository
	}
	return a.sizes(ctx, "/mailRepositories", names)
}

// mappingCalls are the calls that add and remove mappings, by type; {0} is the
// source, {1} the target.
var mappingCalls = map[string]adminVerb{
	"alias":       {method: "PUT", path: "/address/aliases/{1}/sources/{0}"},
	"forward":     {method: "PUT", path: "/address/forwards/{0}/targets/{1}"},
	"group":       {method: "PUT", path: "/address/groups/{0}/{1}"},
	"address":     {method: "POST", path: "/mappings/address/{0}/targets/{1}"},
	"regex":       {method: "POST", path: "/mappings/regex/{0}/targets/{1}"},
	"domain":      {method: "PUT", path: "/domainMappings/{0}", body: "{1}"},
	"domainalias": {method: "PUT", path: "/domains/{1}/aliases/{0}"},
}

func (a *admin) addMapping(ctx context.Context, operands []string) error {
	return a.changeMapping(ctx, operands, false)
}

func (a *admin) removeMapping(ctx context.Context, operands []string) error {
	return a.changeMapping(ctx, operands, true)
}

func (a *admin) changeMapping(ctx context.Context, operands []string, remove bool) error {
	v, ok := mappingCalls[strings.ToLower(operands[0])]
	if !ok {
		return verbError{fmt.Sprintf("%q is no type of mapping; want alias, forward, group, address, regex, domain or domainalias", operands[0])}
	}
	if remove {
		v.method = http.MethodDelete
	}
	return a.call(ctx, v, operands[1:])
}
