package webadmin

import (
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

func TestAliases(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("GET", "/address/aliases", "", 200, "[]")
	b.want("GET", "/address/aliases/bob@b.com", "", 200, "[]")
	for _, s := range []string{"z@b.com", "a1@b.com", "a1@b.com", "a+%2F@b.com"} {
		b.want("PUT", "/address/aliases/Bob@b.com/sources/"+s, "", 204, "")
	}
	b.want("GET", "/address/aliases", "", 200, `["bob@b.com"]`)
	b.want("GET", "/address/aliases/bob@b.com", "", 200, `[{"source":"a+/@b.com"},{"source":"a1@b.com"},{"source":"z@b.com"}]`)
	b.want("DELETE", "/address/aliases/bob@b.com/sources/z@b.com", "", 204, "")
	b.want("DELETE", "/address/aliases/bob@b.com/sources/z@b.com", "", 204, "")
	const path = "/address/aliases/"
	for _, tc := range []struct {
		target, typ, message string
		status               int
	}{
		{"x/sources/a2@b.com", "InvalidArgument", "The alias is not an email address", 400},
		{"bob@b.com/sources/x", "InvalidArgument", "The alias is not an email address", 400},
		{"bob@ext.org/sources/a2@b.com", "InvalidArgument", "Domain in the destination is not managed by the DomainList", 400},
		{"bob@b.com/sources/a2@x.tld", "InvalidArgument", "Source domain 'x.tld' is not managed by the domainList", 400},
		{"bob@b.com/sources/bob@b.com", "InvalidArgument", "Source and destination can't be the same!", 400},
		{"bob@b.com/sources/alice@b.com", "WrongState", "'alice@b.com' user already exist", 409},
		{"a1@b.com/sources/group1@b.com", "WrongState", "'group1@b.com' already have associated mappings: group:bob@b.com", 409},
	} {
		b.mapping("group1@b.com", local.MapGroup, "bob@b.com")
		b.wantError("PUT", path+tc.target, "", tc.status, tc.typ, tc.message, "*")
	}
	b.wantError("GET", path+"x", "", 400, "InvalidArgument", "The alias is not an email address", "*")
	b.wantError("PUT", path+"bob@b.com/sources/", "", 404, "notFound", "PUT /address/aliases/bob@b.com/sources/ can not be found", "")
	b.wantError("PUT", path+"bob@b.com", "", 404, "notFound", "PUT /address/aliases/bob@b.com can not be found", "")
	b.want("PUT", path+"l1@b.com/sources/l2@b.com", "", 204, "")
	b.wantError("PUT", path+"l2@b.com/sources/l1@b.com", "", 409, "WrongState", "Creation of redirection of l1@b.com to alias:l2@b.com would lead to a loop, operation not performed", "")
}

func TestForwards(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const path = "/address/forwards"
	b.want("GET", path, "", 200, "[]")
	for _, dst := range []string{"z@ext.org", "bob@b.com", "alice+tag@b.com"} {
		b.want("PUT", path+"/bob@b.com/targets/"+dst, "", 204, "")
	}
	b.want("GET", path, "", 200, `["bob@b.com"]`)
	b.want("GET", path+"/BOB@B.com", "", 200, `[{"mailAddress":"alice+tag@b.com"},{"mailAddress":"bob@b.com"},{"mailAddress":"z@ext.org"}]`)
	b.wantError("GET", path+"/alice@b.com", "", 404, "InvalidArgument", "The forward does not exist", "")
	b.wantError("GET", path+"/x", "", 400, "InvalidArgument", "The base forward is not an email address", "*")
	for _, method := range []string{"PUT", "DELETE"} {
		b.wantError(method, path+"/bob@b.com", "", 400, "InvalidArgument", "A destination address needs to be specified in the path", "")
		b.wantError(method, path+"/x/targets/a@b.com", "", 400, "InvalidArgument", "The base forward is not an email address", "*")
		b.wantError(method, path+"/bob@b.com/targets/x", "", 400, "InvalidArgument", "The target forward is not an email address", "*")
	}
	for _, src := range []string{"nobody@b.com", "bob@x.tld"} {
		b.wantError("PUT", path+"/"+src+"/targets/a@b.com", "", 404, "InvalidArgument", "Requested base forward address does not correspond to a user", "")
	}
	b.want("PUT", path+"/alice@b.com/targets/carol@b.com", "", 204, "")
	b.mapping("carol@b.com", local.MapForward, "dave@b.com")
	b.want("PUT", "/users/dave@b.com", `{"password":"x"}`, 204, "")
	b.wantError("PUT", path+"/dave@b.com/targets/alice@b.com", "", 409, "WrongState", "Creation of redirection of dave@b.com to forward:alice@b.com would lead to a loop, operation not performed", "")
	for _, dst := range []string{"z@ext.org", "bob@b.com", "alice+tag@b.com", "gone@b.com"} {
		b.want("DELETE", path+"/bob@b.com/targets/"+dst, "", 204, "")
	}
	b.want("GET", path, "", 200, `["alice@b.com","carol@b.com"]`)
}

func TestGroups(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const path = "/address/groups"
	b.want("GET", path, "", 200, "[]")
	for _, m := range []string{"/ext@c.org", "/a@b.com", "/a@b.com"} {
		b.want("PUT", path+"/g@b.com"+m, "", 204, "")
	}
	b.want("PUT", path+"/*@b.com/bob@b.com", "", 204, "")
	b.want("GET", path, "", 200, `["*@b.com","g@b.com"]`)
	b.want("GET", path+"/g@b.com", "", 200, `["a@b.com","ext@c.org"]`)
	b.wantError("GET", path+"/h@b.com", "", 404, "InvalidArgument", "The group does not exist", "")
	b.wantError("GET", path+"/x", "", 400, "InvalidArgument", "The group is not an email address", "*")
	b.want("PUT", path+"/g@b.com", "", 400, "")
	b.want("DELETE", path+"/g@b.com", "", 400, "")
	b.wantError("PUT", path+"/x/a@b.com", "", 400, "InvalidArgument", "The group is not an email address", "*")
	b.wantError("PUT", path+"/g@b.com/x", "", 400, "InvalidArgument", "The group member is not an email address", "*")
	b.wantError("PUT", path+"/g@x.tld/a@b.com", "", 400, "InvalidArgument", "Source domain 'x.tld' is not managed by the domainList", "")
	b.wantError("PUT", path+"/bob@b.com/a@b.com", "", 409, "WrongState", "'bob@b.com' user already exist", "")
	b.mapping("al@b.com", local.MapAlias, "a@b.com")
	b.wantError("PUT", path+"/al@b.com/a@b.com", "", 409, "WrongState", "'al@b.com' already have associated mappings: alias:a@b.com", "")
	for _, m := range []string{"/ext@c.org", "/a@b.com", "/a@b.com"} {
		b.want("DELETE", path+"/g@b.com"+m, "", 204, "")
	}
	b.wantError("GET", path+"/g@b.com", "", 404, "InvalidArgument", "The group does not exist", "")
}

func TestAddressAndRegexMappings(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const address, regex = "/mappings/address/", "/mappings/regex/"
	b.want("POST", address+"a@b.com/targets/ext@c.org", "", 204, "")
	b.want("POST", address+"a@b.com/targets/ext@c.org", "", 204, "")
	b.want("GET", "/mappings/user/A@b.com", "", 200, `[{"type":"Address","mapping":"ext@c.org"}]`)
	b.want("GET", "/mappings/user/nobody", "", 200, "[]")
	b.want("GET", "/mappings/user/no%20body@@", "", 200, "[]")
	b.wantError("POST", address+"a@b.com/targets/a@b.com", "", 400, "InvalidArgument", "Source and destination can't be the same!", "")
	b.wantError("POST", address+"x/targets/a@b.com", "", 400, "InvalidArgument", "The address is not an email address", "*")
	b.wantError("POST", address+"a@b.com/targets/x", "", 400, "InvalidArgument", "The address is not an email address", "*")
	b.wantError("POST", address+"a@b.com/targets/", "", 404, "notFound", "POST /mappings/address/a@b.com/targets/ can not be found", "")
	b.wantError("POST", address+"a@x.tld/targets/a@b.com", "", 400, "InvalidArgument", "Source domain 'x.tld' is not managed by the domainList", "")
	b.want("POST", address+"l1@b.com/targets/l2@b.com", "", 204, "")
	b.wantError("POST", address+"l2@b.com/targets/l1@b.com", "", 409, "WrongState", "Creation of redirection of l2@b.com to l1@b.com would lead to a loop, operation not performed", "")
	b.want("DELETE", address+"l1@b.com/targets/l2@b.com", "", 204, "")
	b.want("DELETE", address+"a@b.com/targets/ext@c.org", "", 204, "")
	b.want("DELETE", address+"a@b.com/targets/ext@c.org", "", 204, "")

	b.want("POST", regex+"a@b.com/targets/bis.*%3Fx:bob@b.com", "", 204, "")
	b.want("POST", regex+"a@b.com/targets/bis.*%3Fx:bob@b.com", "", 204, "")
	b.want("POST", regex+"*@b.com/targets/.*:bob@b.com", "", 204, "")
	b.want("GET", "/mappings", "", 200, `{"a@b.com":[{"type":"Regex","mapping":"bis.*?x:bob@b.com"}],"b.com":[{"type":"Regex","mapping":".*:bob@b.com"}]}`)
	b.wantError("POST", regex+"a@b.com/targets/O.*%5B%5D", "", 400, "InvalidArgument", "Invalid regex: O.*[]", "")
	for _, src := range []string{"a@@b", "nodomain"} {
		b.wantError("POST", regex+src+"/targets/x:y", "", 400, "InvalidArgument", "Invalid `source` field.", "*")
	}
	b.wantError("DELETE", regex+"a@@b/targets/x:y", "", 400, "InvalidArgument", "Invalid `source` field.", "*")
	b.want("DELETE", regex+"nodomain/targets/x:y", "", 204, "")
	b.want("DELETE", regex+"*@b.com/targets/.*:bob@b.com", "", 204, "")
	b.want("DELETE", regex+"a@b.com/targets/bis.*%3Fx:bob@b.com", "", 204, "")
	b.want("GET", "/mappings", "", 200, "{}")
}

func TestAllMappings(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const table = `{"*":[{"type":"Error","mapping":"550 no"}],"alias@b.com":[{"type":"Alias","mapping":"bob@b.com"}],"old.tld":[{"type":"DomainAlias","mapping":"new.tld"}],"x@unmanaged.tld":[{"type":"Group","mapping":"alias@b.com"}]}`
	b.want("PUT", "/mappings", table, 204, "")
	b.want("GET", "/mappings", "", 200, table)
	for _, body := range []string{"", "{", "[]", `{"a@b.com":[{"type":"Nothing","mapping":"x"}]}`, `{"a@@b":[{"type":"Alias","mapping":"x@y.z"}]}`, `{"a@b.com":[{"kind":"Alias"}]}`} {
		b.wantError("PUT", "/mappings", body, 400, "InvalidArgument", "error parsing mappings", "*")
	}
	const sources = "/mappings/sources/"
	b.want("GET", sources+"bob@b.com?type=ALIAS", "", 200, `["alias@b.com"]`)
	b.want("GET", sources+"new.tld?type=domainAlias", "", 200, `["*@old.tld"]`)
	b.want("GET", sources+"new.tld?type=domain", "", 200, "[]")
	b.want("GET", sources+"alias@b.com?type=group", "", 200, `["x@unmanaged.tld"]`)
	for _, method := range []string{"GET", "DELETE"} {
		b.wantError(method, sources+"bob@b.com", "", 400, "InvalidArgument", generic, "On reversed resolution 'type' is compulsory")
		b.wantError(method, sources+"bob@b.com?type=x", "", 400, "InvalidArgument", generic, "Invalid 'type' query parameter: x")
		b.wantError(method, sources+"bob@b.com?type=regex", "", 400, "InvalidArgument", "Not supported mapping of type", "")
		b.wantError(method, sources+"bob@b.com?type=error", "", 400, "InvalidArgument", "Not supported mapping of type", "")
		b.wantError(method, sources+"bob?type=alias", "", 400, "InvalidArgument", generic, "*")
		b.wantError(method, sources+"a@b?type=domain", "", 400, "InvalidArgument", generic, "*")
	}
	b.want("DELETE", sources+"bob@b.com?type=alias", "", 204, "")
	b.want("GET", sources+"bob@b.com?type=alias", "", 200, "[]")
}
