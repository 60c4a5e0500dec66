package webadmin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

func withPolicies(p *localtest.Policies) func(*Deps) {
	return func(d *Deps) { d.DropLists, d.DLP = local.NewDropLists(p), local.NewDLP(p, d.Now) }
}

func TestDropLists(t *testing.T) {
	p := &localtest.Policies{}
	b := newBench(t, Config{}, withPolicies(p))
	for _, list := range []string{"/droplist/global", "/droplist/domain/owner.com", "/droplist/user/owner@owner.com", "/droplist/USER/%22o%2Fw%22@owner.com"} {
		b.want("GET", list, "", 200, "[]")
		for range 2 {
			b.want("PUT", list+"/evil.com", "", 204, "")
			b.want("PUT", list+"/Attacker%40Evil.com", "", 204, "")
		}
		b.want("GET", list, "", 200, `["attacker@evil.com","evil.com"]`)
		b.want("GET", list+"?deniedEntityType=domain", "", 200, `["evil.com"]`)
		b.want("GET", list+"?deniedEntityType=ADDRESS", "", 200, `["attacker@evil.com"]`)
		b.want("GET", list+"?deniedEntityType=", "", 200, `["attacker@evil.com","evil.com"]`)
		b.wantError("GET", list+"?deniedEntityType=unknown", "", 400, "InvalidArgument", "Invalid DeniedEntityType",
			"DeniedEntityType 'unknown' is invalid. Supported values are [ADDRESS, DOMAIN]")
		b.want("HEAD", list+"/EVIL.com", "", 204, "")
		b.want("HEAD", list+"/attacker@evil.com", "", 204, "")
		b.want("HEAD", list+"/devil.com", "", 404, "")
		b.want("HEAD", list+"/x@@devil.com", "", 404, "")
		b.want("DELETE", list+"/evil.com", "", 204, "")
		b.want("DELETE", list+"/evil.com", "", 204, "")
		b.want("DELETE", list+"/e..vil", "", 204, "")
		b.want("GET", list, "", 200, `["attacker@evil.com"]`)
		b.wantError("PUT", list+"/devil..com", "", 400, "InvalidArgument", "Invalid domain devil..com", "")
		b.wantError("PUT", list+"/bad_guy@@crime.com", "", 400, "InvalidArgument", "Invalid mail address bad_guy@@crime.com", "")
	}
	b.want("GET", "/droplist/domain/b.com", "", 200, "[]")
	b.want("GET", "/droplist/user/b.com", "", 200, "[]")
	b.want("GET", "/droplist/user", "", 200, "[]")
	b.wantError("PUT", "/droplist/user/owner.com/evil.com", "", 400, "InvalidArgument", "Invalid mail address owner.com", "")
	b.wantError("PUT", "/droplist/domain/a@b.com/evil.com", "", 400, "InvalidArgument", "Invalid domain a@b.com", "")
	b.wantError("PUT", "/droplist/domain/evil.com", "", 400, "InvalidArgument", "Invalid domain ", "")
	for _, call := range []string{"GET /droplist/unknown", "GET /droplist/unknown/owner.com", "PUT /droplist/unknown/a.com", "DELETE /droplist/unknown/a.com/b.com"} {
		method, target, _ := strings.Cut(call, " ")
		b.wantError(method, target, "", 400, "InvalidArgument", "Invalid OwnerScope", "OwnerScope 'unknown' is invalid. Supported values are [GLOBAL, DOMAIN, USER]")
	}
	if w := b.do("HEAD", "/droplist/unknown/a.com", ""); w.Code != 400 {
		t.Errorf("HEAD of an unknown scope: got %d", w.Code)
	}
	b.wantError("GET", "/droplist", "", 404, "notFound", "GET /droplist can not be found", "")
	b.wantError("GET", "/droplist/global/a.com/b.com", "", 404, "notFound", "GET /droplist/global/a.com/b.com can not be found", "")

	p.FailWith(errDisk)
	for _, call := range []string{"GET /droplist/global", "PUT /droplist/global/a.com", "DELETE /droplist/global/a.com"} {
		method, target, _ := strings.Cut(call, " ")
		b.wantError(method, target, "", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "*")
	}
	if w := b.do("HEAD", "/droplist/global/attacker@evil.com", ""); w.Code != 500 {
		t.Errorf("HEAD of a list that cannot be read: got %d", w.Code)
	}
}

// Where drop lists are off nothing pretends to keep anybody out.
func TestDropListsOff(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.wantError("PUT", "/droplist/global/evil.com", "", 404, "notFound", "PUT /droplist/global/evil.com can not be found", "")
	b.wantError("GET", "/dlp/rules/b.com", "", 404, "notFound", "GET /dlp/rules/b.com can not be found", "")
}

func TestDLPRules(t *testing.T) {
	p := &localtest.Policies{}
	b := newBench(t, Config{}, withPolicies(p))
	const (
		invalid = "JSON payload of the request is not valid"
		first   = `{"id":"1","expression":"expression 1","explanation":"explanation 1","targetsSender":true,"targetsRecipients":true,"targetsContent":false}`
		second  = `{"id":"a/b","expression":"","explanation":null,"targetsSender":false,"targetsRecipients":false,"targetsContent":false}`
	)
	b.want("GET", "/dlp/rules/b.com", "", 200, `{"rules":[]}`)
	b.want("PUT", "/dlp/rules/b.com", `{"rules":[{"id":"old","expression":"x"}]}`, 204, "")
	b.want("PUT", "/dlp/rules/B.com", `{"rules":[`+first+`,{"id":"a/b","expression":""}]}`, 204, "")
	b.want("GET", "/dlp/rules/b.COM", "", 200, `{"rules":[`+first+`,`+second+`]}`)
	b.want("GET", "/dlp/rules/b.com/rules/1", "", 200, first)
	b.want("GET", "/dlp/rules/b.com/rules/a%2Fb", "", 200, second)
	b.wantError("GET", "/dlp/rules/b.com/rules/old", "", 404, "InvalidArgument", "There is no rule 'old' for 'b.com' managed by this James server", "")
	b.want("GET", "/dlp/rules/old.tld", "", 200, `{"rules":[]}`)

	for body, details := range map[string]string{
		`{"rules":[{"expression":"x"}]}`:           "'id' is mandatory",
		`{"rules":[{"id":"1","explanation":"x"}]}`: "'expression' is mandatory",
		`{}`:             "'rules' is mandatory",
		`{"rules":null}`: "'rules' is mandatory",
		`[]`:             "*",
		`{"rules":[{"id":"1","expression":"x","other":true}]}`: "*",
		``: "*",
	} {
		b.wantError("PUT", "/dlp/rules/b.com", body, 400, "InvalidArgument", invalid, details)
	}
	b.wantError("PUT", "/dlp/rules/b.com", `{"rules":[{"id":"1","expression":"x"},{"id":"1","expression":"y"}]}`, 400, "InvalidArgument", "'id' duplicates are not allowed in DLP rules", "")
	b.wantError("PUT", "/dlp/rules/b.com", `{"rules":[{"id":"","expression":"x"}]}`, 400, "InvalidArgument", generic, "id should no be empty")
	b.wantError("PUT", "/dlp/rules/b.com", `{"rules":[{"id":"1","expression":"(x"}]}`, 400, "InvalidArgument", generic, "*")
	b.want("GET", "/dlp/rules/b.com", "", 200, `{"rules":[`+first+`,`+second+`]}`) // all of it was refused

	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		b.wantError(method, "/dlp/rules/strange.com", "", 404, "InvalidArgument", "'strange.com' is not managed by this James server", "")
		b.wantError(method, "/dlp/rules/dr@strange.com", "", 400, "InvalidArgument", "Invalid request for domain: dr@strange.com", "*")
	}
	b.wantError("GET", "/dlp/rules/strange.com/rules/1", "", 404, "InvalidArgument", "'strange.com' is not managed by this James server", "")
	b.want("DELETE", "/dlp/rules/b.com", "", 204, "")
	b.want("DELETE", "/dlp/rules/b.com", "", 204, "")
	b.want("GET", "/dlp/rules/b.com", "", 200, `{"rules":[]}`)

	p.FailWith(errDisk)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		b.wantError(method, "/dlp/rules/b.com", `{"rules":[]}`, 500, "ServerError", "WebAdmin encountered an unexpected internal error", "*")
	}
}
