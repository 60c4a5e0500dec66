package webadmin

import (
	"context"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

func TestUsers(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const secret = `{"password":"s3"}`
	b.want("GET", "/users", "", 200, `[{"username":"alice@b.com"},{"username":"bob@b.com"}]`)
	b.want("PUT", "/users/Carol@b.com", secret, 204, "")
	b.wantError("PUT", "/users/carol@b.com", secret, 409, "WrongState", "'carol@b.com' user already exist", "")
	b.want("PUT", "/users/carol@b.com?force", `{"password":"other"}`, 204, "")
	b.want("POST", "/users/carol@b.com/verify", `{"password":"other"}`, 204, "")
	b.want("POST", "/users/carol@b.com/verify", secret, 401, "")
	b.want("POST", "/users/nobody@b.com/verify", secret, 401, "")
	b.mapping("shadow@b.com", local.MapAlias, "other@b.com")
	b.wantError("PUT", "/users/shadow@b.com", secret, 409, "WrongState", "'shadow@b.com' already have associated mappings: alias:other@b.com", "")
	b.want("PUT", "/users/shadow@b.com?force", secret, 204, "")
	b.want("HEAD", "/users/carol@b.com", "", 200, "")
	b.want("DELETE", "/users/carol@b.com", "", 204, "")
	b.want("DELETE", "/users/carol@b.com", "", 204, "")
	b.want("DELETE", "/users/carol@elsewhere.tld", "", 204, "")
	b.want("HEAD", "/users/carol@b.com", "", 404, "")
	b.want("HEAD", "/users/carol@elsewhere.tld", "", 404, "")
	const invalid = "Username supplied is invalid"
	b.wantError("PUT", "/users/carol", secret, 400, "InvalidArgument", invalid, "Given Username needs to contain a @domainpart")
	b.wantError("PUT", "/users/carol@x.tld", secret, 400, "InvalidArgument", invalid, "Domain does not exist in DomainList")
	b.wantError("PUT", "/users/ca%3Arol@b.com", secret, 400, "InvalidArgument", invalid, "*")
	for _, method := range []string{"DELETE", "HEAD"} {
		if w := b.do(method, "/users/ca%3Arol@b.com", ""); w.Code != 400 {
			t.Errorf("%s of a bad name: got %d", method, w.Code)
		}
	}
	for _, body := range []string{"", "{", "{}", "[]", `{"password":3}`, `{"password":"x","more":1}`, secret + "x"} {
		b.wantError("PUT", "/users/carol@b.com", body, 400, "InvalidArgument", "JSON payload of the request is not valid", "*")
	}
	b.wantError("PUT", "/users/carol@b.com", `{"password":"`+strings.Repeat("x", maxBody)+`"}`, 413, "InvalidArgument", "The request body is larger than 1048576 octets", "")
	b.wantError("POST", "/users/carol@b.com/verify", "{", 400, "InvalidArgument", "Error while deserializing verifyUser request", "*")
	b.wantError("POST", "/users/"+strings.Repeat("x", 256)+"/verify", secret, 400, "InvalidArgument", generic, "username length should not be longer than 255 characters")
}

// brokenDirectory cannot store users.
type brokenDirectory struct{ Directory }

func (brokenDirectory) AddUser(context.Context, string, string) error { return errDisk }

func TestUserStoreFails(t *testing.T) {
	b := newBench(t, Config{}, func(d *Deps) { d.Directory = brokenDirectory{d.Directory} })
	b.wantError("PUT", "/users/carol@b.com", `{"password":"x"}`, 500, "ServerError", "Error while upserting user 'carol@b.com'", "disk full")
}

func TestSendersAndDelegation(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.mapping("sales@b.com", local.MapAlias, "bob@b.com")
	b.want("GET", "/users/bob@b.com/allowedFromHeaders", "", 200, `["bob@b.com","sales@b.com"]`)
	b.wantError("GET", "/users/nobody@b.com/allowedFromHeaders", "", 404, "InvalidArgument", "user 'nobody@b.com' does not exist", "")
	for _, r := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"PUT", "/alice@b.com"}, {"DELETE", "/alice@b.com"}} {
		b.wantError(r[0], "/users/bob@b.com/authorizedUsers"+r[1], "", 405, "InvalidArgument", "This version of James does not support delegation.", "")
		b.wantError(r[0], "/users/nobody@b.com/authorizedUsers"+r[1], "", 404, "notFound", "User 'nobody@b.com' does not exist", "")
	}
}

func TestDeleteUserData(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	b.mapping("bob@b.com", local.MapForward, "x@y.org")
	b.mapping("alice@b.com", local.MapForward, "bob@b.com")
	got := b.task("POST", "/users/bob@b.com?action=deleteData", "")
	wantInfo(t, got, "DeleteUserDataTask", "completed", `{"fromStep":null,"status":{"RecipientRewriteTableUserDeletionTaskStep":"DONE"},"timestamp":"2026-08-22T06:44:35.123Z","type":"DeleteUserDataTask","username":"bob@b.com"}`)
	b.want("GET", "/mappings", "", 200, "{}")
	b.want("HEAD", "/users/bob@b.com", "", 200, "")
	b.wantError("POST", "/users/nobody@b.com?action=deleteData", "", 400, "InvalidArgument", generic, "'username' parameter should be an existing user")
	b.wantError("POST", "/users/bob@b.com?action=deleteData&fromStep=x", "", 400, "InvalidArgument", generic, "Starting step not found: x")
	b.wantError("POST", "/users/bob@b.com", "", 400, "InvalidArgument", generic, "'action' query parameter is compulsory. Supported values are [deleteData]")
	b.task("POST", "/users/nobody@b.com?action=deleteData&force", "")
}

func TestRenameUser(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	b.mapping("bob@b.com", local.MapForward, "bob@b.com")
	b.mapping("bob@b.com", local.MapForward, "x@y.org")
	got := b.task("POST", "/users/bob@b.com/rename/alice@b.com?action=rename&fromStep=ForwardUsernameChangeTaskStep", "")
	wantInfo(t, got, "UsernameChangeTask", "completed", `{"fromStep":"ForwardUsernameChangeTaskStep","newUser":"alice@b.com","oldUser":"bob@b.com","status":{"ForwardUsernameChangeTaskStep":"DONE"},"timestamp":"2026-08-22T06:44:35.123Z","type":"UsernameChangeTask"}`)
	b.want("GET", "/address/forwards/alice@b.com", "", 200, `[{"mailAddress":"alice@b.com"},{"mailAddress":"x@y.org"}]`)
	b.want("GET", "/address/forwards/bob@b.com", "", 200, `[{"mailAddress":"alice@b.com"}]`)
	for query, details := range map[string]string{
		"nobody@b.com/rename/bob@b.com?action=rename":           "'oldUser' parameter should be an existing user",
		"bob@b.com/rename/nobody@b.com?action=rename":           "'newUser' parameter should be an existing user",
		"bob@b.com/rename/bob@b.com?action=rename":              "'newUser' should be distinct from 'oldUser'",
		"bob@b.com/rename/alice@b.com?action=rename&fromStep=x": "Starting step not found: x",
		"bob@b.com/rename/alice@b.com":                          "'action' query parameter is compulsory. Supported values are [rename]",
	} {
		b.wantError("POST", "/users/"+query, "", 400, "InvalidArgument", generic, details)
	}
	b.task("POST", "/users/nobody@b.com/rename/alice@b.com?action=rename&force", "")
}
