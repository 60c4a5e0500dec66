package webadmin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// withSaid offers scripts and vacations. A script with the word bad is not valid.
func withSaid(said *localtest.Said) func(*Deps) {
	return func(d *Deps) {
		d.Sieve, d.Vacations = said, said
		d.CheckSieve = func(text []byte) error {
			if i := strings.Index(string(text), "bad"); i >= 0 {
				return errors.New("1:2: there is no command bad")
			}
			return nil
		}
	}
}

func TestSieveQuotas(t *testing.T) {
	b := newBench(t, Config{}, withSaid(&localtest.Said{}))
	for _, path := range []string{"/sieve/quota/default", "/sieve/quota/users/Bob@b.com"} {
		b.want("GET", path, "", 204, "")
		b.want("DELETE", path, "", 204, "")
		b.want("PUT", path, "1024", 204, "")
		b.want("GET", path, "", 200, "1024")
		b.wantError("PUT", path, "many", 400, "InvalidArgument", "unrecognized integer number 'many'", "")
		b.wantError("PUT", path, "", 400, "InvalidArgument", "unrecognized integer number ''", "")
		b.wantError("PUT", path, "-1", 400, "InvalidArgument", "Requested quota size have to be a positive integer", "")
		b.want("GET", path, "", 200, "1024")
		b.want("PUT", path, "0", 204, "")
		b.want("GET", path, "", 200, "0")
		b.want("DELETE", path, "", 204, "")
		b.want("GET", path, "", 204, "")
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		b.wantError(method, "/sieve/quota/users/eve@b.com", "1", 404, "InvalidArgument", "User eve@b.com does not exist", "")
	}
}

func TestSieveScripts(t *testing.T) {
	said := &localtest.Said{}
	b := newBench(t, Config{}, withSaid(said))
	b.want("GET", "/sieve/bob@b.com/scripts", "", 200, "[]")
	b.want("PUT", "/sieve/Bob@b.com/scripts/a%20b", "keep;", 204, "")
	b.want("GET", "/sieve/bob@b.com/scripts/a%20b", "", 200, "keep;")
	if got := b.do("GET", "/sieve/bob@b.com/scripts/a%20b", "").Header().Get("Content-Type"); got != "application/sieve; charset=utf-8" {
		t.Errorf("Content-Type: got %q", got)
	}
	b.want("PUT", "/sieve/bob@b.com/scripts/c?activate=True", "stop;", 204, "")
	b.want("PUT", "/sieve/bob@b.com/scripts/a%20b?activate=false", "discard;", 204, "")
	got := b.do("GET", "/sieve/bob@b.com/scripts", "").Body.String()
	for _, want := range []string{`{"name":"a b","size":8,"active":false,"updated":"20`, `{"name":"c","size":5,"active":true,"updated":"20`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}

	b.wantError("PUT", "/sieve/bob@b.com/scripts/a%20b", "bad;", 400, "InvalidArgument", "The Sieve script is not valid", "1:2: there is no command bad")
	b.wantError("PUT", "/sieve/bob@b.com/scripts/x?activate=maybe", "keep;", 400, "InvalidArgument", "Invalid activate query parameter", "")
	b.wantError("PUT", "/sieve/bob@b.com/scripts/x?activate", "keep;", 400, "InvalidArgument", "Invalid activate query parameter", "")
	b.wantError("PUT", "/sieve/bob@b.com/scripts/%20", "keep;", 400, "InvalidArgument", "Invalid Sieve script name", "the name of a script has 1 to 128 characters of UTF-8")
	b.wantError("PUT", "/sieve/bob@b.com/scripts/a%00b", "keep;", 400, "InvalidArgument", "Invalid Sieve script name", "the name of a script has no control characters")
	b.wantError("PUT", "/sieve/bob@b.com/scripts/x", strings.Repeat("#", maxBody+1), 413, "InvalidArgument", "The request body is larger than 1048576 octets", "")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		b.wantError(method, "/sieve/eve@b.com/scripts/x", "keep;", 404, "notFound", "User not found", "")
	}
	b.wantError("GET", "/sieve/eve@b.com/scripts", "", 404, "notFound", "User not found", "")
	b.wantError("GET", "/sieve/bob@b.com/scripts/x", "", 404, "notFound", "The user 'bob@b.com' has no script 'x'", "")

	b.wantError("DELETE", "/sieve/bob@b.com/scripts/c", "", 409, "WrongState", "The script 'c' is active: activate another one or none first", "")
	b.wantError("POST", "/sieve/bob@b.com/scripts/x?action=activate", "", 404, "notFound", "The user 'bob@b.com' has no script 'x'", "")
	b.wantError("POST", "/sieve/bob@b.com/scripts/x?action=deactivate", "", 404, "notFound", "The user 'bob@b.com' has no script 'x'", "")
	b.want("POST", "/sieve/bob@b.com/scripts/a%20b?action=deactivate", "", 204, "")
	if _, text, err := said.ActiveSieveScript(t.Context(), "bob@b.com"); err != nil || string(text) != "stop;" {
		t.Errorf("another one was deactivated: got %q, %v", text, err)
	}
	b.want("POST", "/sieve/bob@b.com/scripts/a%20b?action=activate", "", 204, "")
	b.want("DELETE", "/sieve/bob@b.com/scripts/c", "", 204, "")
	b.want("POST", "/sieve/bob@b.com/scripts/a%20b?action=deactivate", "", 204, "")
	b.want("DELETE", "/sieve/bob@b.com/scripts/a%20b", "", 204, "")
	b.want("GET", "/sieve/bob@b.com/scripts", "", 200, "[]")

	b.want("PUT", "/sieve/quota/users/bob@b.com", "4", 204, "")
	b.wantError("PUT", "/sieve/bob@b.com/scripts/x?activate=true", "keep;", 400, "InvalidArgument", "The Sieve scripts of the user would be larger than the quota", local.ErrQuota.Error())
	b.want("GET", "/sieve/bob@b.com/scripts", "", 200, "[]")
}

func TestVacations(t *testing.T) {
	b := newBench(t, Config{}, withSaid(&localtest.Said{}))
	const path, none = "/vacation/bob@b.com", `{"enabled":false,"fromDate":null,"toDate":null,"subject":null,"textBody":null,"htmlBody":null}`
	b.want("GET", path, "", 200, none)
	b.want("POST", "/vacation/BOB@b.com", `{"enabled":true,"fromDate":"2026-08-01T10:00:00Z","toDate":"2026-08-20T10:00+02:00[Europe/Paris]","subject":"away","textBody":"Bin weg.","htmlBody":"<b>weg</b>"}`, 204, "")
	b.want("GET", path, "", 200, `{"enabled":true,"fromDate":"2026-08-01T10:00:00Z","toDate":"2026-08-20T08:00:00Z","subject":"away","textBody":"Bin weg.","htmlBody":"<b>weg</b>"}`)
	b.want("POST", path, `{"enabled":false,"subject":null}`, 204, "")
	b.want("GET", path, "", 200, `{"enabled":false,"fromDate":"2026-08-01T10:00:00Z","toDate":"2026-08-20T08:00:00Z","subject":"away","textBody":"Bin weg.","htmlBody":"<b>weg</b>"}`)
	b.wantError("POST", path, `{"toDate":"2026-07-20T10:00:00Z"}`, 400, "InvalidArgument", "JSON payload of the request is not valid", "toDate is before fromDate")
	b.wantError("POST", path, `{"toDate":"tomorrow"}`, 400, "InvalidArgument", "JSON payload of the request is not valid", `toDate: "tomorrow" is no date such as 2026-08-22T06:44:35Z`)
	b.wantError("POST", path, `{"until":1}`, 400, "InvalidArgument", "JSON payload of the request is not valid", `json: unknown field "until"`)
	b.want("PUT", path, `{"enabled":true,"textBody":"Bin weg."}`, 204, "")
	b.want("GET", path, "", 200, `{"enabled":true,"fromDate":null,"toDate":null,"subject":null,"textBody":"Bin weg.","htmlBody":null}`)
	b.want("DELETE", path, "", 204, "")
	b.want("GET", path, "", 200, none)
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		b.wantError(method, "/vacation/Eve@b.com", "{}", 404, "notFound", "The user 'eve@b.com' does not exist", "")
	}
}

// What the store cannot do is a 500, and nothing is said to have been done.
func TestSaidFails(t *testing.T) {
	said := &localtest.Said{}
	b := newBench(t, Config{}, withSaid(said))
	b.want("PUT", "/sieve/bob@b.com/scripts/x", "keep;", 204, "")
	said.FailWith(errors.New("disk full"))
	for _, req := range []string{"GET /sieve/quota/default", "PUT /sieve/quota/default", "DELETE /sieve/quota/default", "GET /sieve/bob@b.com/scripts",
		"GET /sieve/bob@b.com/scripts/x", "PUT /sieve/bob@b.com/scripts/x", "DELETE /sieve/bob@b.com/scripts/x", "POST /sieve/bob@b.com/scripts/x?action=activate",
		"POST /sieve/bob@b.com/scripts/x?action=deactivate", "GET /vacation/bob@b.com", "DELETE /vacation/bob@b.com"} {
		method, path, _ := strings.Cut(req, " ")
		b.wantError(method, path, "1", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "disk full")
	}
	b.wantError("POST", "/vacation/bob@b.com", "{}", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "disk full")
}

// The tasks that delete data delete what users have said; one step that fails stops
// those behind it.
func TestForgetUser(t *testing.T) {
	var forgotten []string
	var fail error
	b := newBench(t, Config{}, func(d *Deps) {
		d.ForgetUser = func(_ context.Context, user string) error {
			forgotten = append(forgotten, user)
			return fail
		}
	})
	b.start()
	info := func(from, rewriting, vacation string) string {
		return `{"fromStep":` + from + `,"status":{"RecipientRewriteTableUserDeletionTaskStep":"` + rewriting + `","VacationDeleteUserTaskStep":"` + vacation +
			`"},"timestamp":"2026-08-22T06:44:35.123Z","type":"DeleteUserDataTask","username":"bob@b.com"}`
	}
	const path = "/users/bob@b.com?action=deleteData"
	wantInfo(t, b.task("POST", path, ""), "DeleteUserDataTask", "completed", info("null", "DONE", "DONE"))
	wantInfo(t, b.task("POST", path+"&fromStep=VacationDeleteUserTaskStep", ""), "DeleteUserDataTask", "completed", info(`"VacationDeleteUserTaskStep"`, "SKIPPED", "DONE"))
	fail = errors.New("disk full")
	wantInfo(t, b.task("POST", path, ""), "DeleteUserDataTask", "failed", info("null", "DONE", "FAILED"))
	fail = nil
	b.task("POST", "/domains/b.com?action=deleteData", "")
	if got := strings.Join(forgotten, " "); got != "bob@b.com bob@b.com bob@b.com alice@b.com bob@b.com" {
		t.Errorf("forgotten: got %s", got)
	}
}

func TestAbortedStep(t *testing.T) {
	task := &stepTask{steps: []userStep{
		{"a", func(context.Context) error { return errors.New("disk full") }},
		{"b", func(context.Context) error { t.Error("ran behind one that failed"); return nil }},
	}}
	if err := task.Run(t.Context()); err == nil || err.Error() != "step a: disk full" || task.states["b"] != "ABORTED" {
		t.Errorf("got %v, %v", err, task.states)
	}
}
