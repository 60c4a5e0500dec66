package webadmin

import (
	"context"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

func (b *bench) mapping(source string, t local.MappingType, target string) {
	b.t.Helper()
	if err := b.dir.PutMapping(context.Background(), source, local.Mapping{Type: t, Target: target}); err != nil {
		b.t.Fatal(err)
	}
}

func TestDomains(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("GET", "/domains", "", 200, `["b.com","example.org","old.tld"]`)
	b.want("GET", "/domains/b.com", "", 204, "")
	b.wantError("GET", "/domains/x.tld", "", 404, "InvalidArgument", "The domain list does not contain: x.tld", "")
	b.want("PUT", "/domains/X.tld", "", 204, "")
	b.want("PUT", "/domains/x.tld", "", 204, "")
	b.want("GET", "/domains/x.TLD", "", 204, "")
	long := strings.Repeat("a.", 130) + "tld"
	b.wantError("PUT", "/domains/"+long, "", 400, "InvalidArgument", "Invalid request for domain creation "+long, "Domain name length should not exceed 253 characters")
	b.wantError("PUT", "/domains/d@d", "", 400, "InvalidArgument", "Invalid request for domain creation d@d", "*")
	b.mapping("x.tld", local.MapDomain, "b.com")
	b.want("DELETE", "/domains/x.tld", "", 204, "")
	b.want("DELETE", "/domains/x.tld", "", 204, "")
	b.want("GET", "/domainMappings", "", 200, "{}")
	b.wantError("DELETE", "/domains/b.com", "", 400, "InvalidArgument", "Can not remove domain", "b.com is autodetected and cannot be removed")
	b.want("GET", "/domains/b.com/users", "", 200, `["alice@b.com","bob@b.com"]`)
	b.want("GET", "/domains/old.tld/users", "", 200, "[]")
	b.wantError("GET", "/domains/x.tld/users", "", 404, "InvalidArgument", "The domain list does not contain: x.tld", "")
	b.wantError("GET", "/domains/-x/users", "", 400, "InvalidArgument", "Invalid request for domain creation -x", "*")
}

func TestDomainAliases(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("GET", "/domains/b.com/aliases", "", 200, "[]")
	b.want("PUT", "/domains/b.com/aliases/old.tld", "", 204, "")
	b.want("PUT", "/domains/b.com/aliases/old.tld", "", 204, "")
	b.want("PUT", "/domains/elsewhere.tld/aliases/old.tld", "", 204, "")
	b.want("GET", "/domains/b.com/aliases", "", 200, `[{"source":"old.tld"}]`)
	b.want("GET", "/domains/elsewhere.tld/aliases", "", 200, `[{"source":"old.tld"}]`)
	b.want("GET", "/mappings", "", 200, `{"old.tld":[{"type":"DomainAlias","mapping":"b.com"},{"type":"DomainAlias","mapping":"elsewhere.tld"}]}`)
	b.want("DELETE", "/domains/elsewhere.tld/aliases/old.tld", "", 204, "")
	b.want("DELETE", "/domains/elsewhere.tld/aliases/old.tld", "", 204, "")
	b.wantError("GET", "/domains/elsewhere.tld/aliases", "", 404, "InvalidArgument", "The following domain is not in the domain list and has no registered local aliases: elsewhere.tld", "")
	for _, method := range []string{"PUT", "DELETE"} {
		b.wantError(method, "/domains/b.com/aliases/x.tld", "", 404, "InvalidArgument", "The domain list does not contain: x.tld", "")
		b.wantError(method, "/domains/b.com/aliases/b.com", "", 400, "InvalidArgument", "Source domain and destination domain can not have same value(b.com)", "")
		b.wantError(method, "/domains/b.com/aliases/-x", "", 400, "InvalidArgument", "Invalid request for domain creation -x", "*")
		b.wantError(method, "/domains/-x/aliases/b.com", "", 400, "InvalidArgument", "Invalid request for domain creation -x", "*")
	}
}

func TestDeleteDomainData(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	b.mapping("bob@b.com", local.MapForward, "x@y.org")
	b.mapping("group@b.com", local.MapGroup, "alice@b.com")
	b.mapping("g2@b.com", local.MapGroup, "x@y.org")
	got := b.task("POST", "/domains/b.com?action=deleteData&fromStep=RecipientRewriteTableUserDeletionTaskStep", "")
	wantInfo(t, got, "DeleteUsersDataOfDomainTask", "completed", `{"domain":"b.com","failedUsers":[],"failedUsersCount":0,"successfulUsersCount":2,"timestamp":"2026-08-22T06:44:35.123Z","type":"DeleteUsersDataOfDomainTask"}`)
	b.want("GET", "/mappings", "", 200, `{"g2@b.com":[{"type":"Group","mapping":"x@y.org"}]}`)
	b.wantError("POST", "/domains/x.tld?action=deleteData", "", 400, "InvalidArgument", generic, "'domainName' parameter should be an existing domain")
	b.wantError("POST", "/domains/b.com?action=x", "", 400, "InvalidArgument", generic, "Invalid value supplied for query parameter 'action': x. Supported values are [deleteData]")
	b.wantError("POST", "/domains/b.com?action=deleteData&fromStep=x", "", 400, "InvalidArgument", generic, "Starting step not found: x")
}

func TestDomainMappings(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("GET", "/domainMappings", "", 200, "{}")
	b.want("PUT", "/domainMappings/old.tld", "To.tld\n", 204, "")
	b.want("PUT", "/domainMappings/old.tld", "to.tld", 204, "")
	b.mapping("b.com", local.MapDomainAlias, "c.com")
	b.want("GET", "/domainMappings", "", 200, `{"old.tld":["to.tld"]}`)
	b.want("GET", "/domainMappings/old.tld", "", 200, `["to.tld"]`)
	b.wantError("GET", "/domainMappings/b.com", "", 404, "notFound", "Cannot find mappings for b.com", "")
	b.want("DELETE", "/domainMappings/old.tld", "to.tld", 204, "")
	b.want("DELETE", "/domainMappings/old.tld", "to.tld", 204, "")
	b.wantError("GET", "/domainMappings/old.tld", "", 404, "notFound", "Cannot find mappings for old.tld", "")
	for _, method := range []string{"PUT", "DELETE"} {
		b.wantError(method, "/domainMappings/old.tld", "", 400, "InvalidArgument", "The domain  is invalid.", "empty domain")
		b.wantError(method, "/domainMappings/old.tld", "a@b", 400, "InvalidArgument", "The domain a@b is invalid.", "*")
		b.wantError(method, "/domainMappings/a@b", "to.tld", 400, "InvalidArgument", "The domain a@b is invalid.", "*")
	}
	b.wantError("PUT", "/domainMappings/x.tld", "to.tld", 400, "InvalidArgument", "Source domain 'x.tld' is not managed by the domainList", "")
}
