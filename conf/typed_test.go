package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conf")
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// noEnv is an environment without variables.
func noEnv(string) (string, bool) { return "", false }

// one opens a folder with one file.
func one(t *testing.T, name, text string) (*Dir, *Report) {
	t.Helper()
	r := &Report{}
	return Open(folder(t, map[string]string{name: text}), Options{Env: noEnv}, r), r
}

// shape is one row of a table about a file of fixed shape: the inner XML, the
// value wanted and the problem lines wanted, without the name of the file.
type shape[T any] struct {
	name, attrs, xml string
	change           func(*T)
	problems         []string
}

// runShapes reads every row as <root attrs>xml</root>, on one line.
func runShapes[T any](t *testing.T, file, root string, read func(*Dir) T, def T, rows []shape[T]) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			d, r := one(t, file, fmt.Sprintf("<%s%s>\n%s\n</%s>", root, tc.attrs, tc.xml, root))
			want := def
			if tc.change != nil {
				tc.change(&want)
			}
			if got := read(d); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			var lines []string
			for _, p := range r.Problems() {
				lines = append(lines, strings.TrimPrefix(p.String(), file+":"))
			}
			if !reflect.DeepEqual(lines, tc.problems) {
				t.Errorf("got problems\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(tc.problems, "\n"))
			}
		})
	}
}

func TestDomainList(t *testing.T) {
	def := DomainList{Pos: Pos{"domainlist.xml", 1, 1}, DefaultDomain: "localhost", CacheExpiry: 10 * time.Second}
	runShapes(t, "domainlist.xml", "domainlist", (*Dir).DomainList, def, []shape[DomainList]{
		{name: "empty"},
		{name: "autodetect", xml: "<autodetect>true</autodetect><autodetectIP>TRUE</autodetectIP>", change: func(l *DomainList) { l.Autodetect, l.AutodetectIP = true, true }},
		{name: "not a boolean", xml: "<autodetect>maybe</autodetect>", problems: []string{`2:1: error: <autodetect> is "maybe", not true or false`}},
		{name: "default", xml: "<defaultDomain>Example.COM</defaultDomain>", change: func(l *DomainList) { l.DefaultDomain = "example.com" }},
		{name: "bad default", xml: "<defaultDomain>a@b</defaultDomain>", problems: []string{`2:1: error: <defaultDomain> is "a@b", which is not a domain name`}},
		{name: "names", xml: "<domainnames><domainname> A.test </domainname><domainname>a.test</domainname><domainname/><domainname>b.test</domainname></domainnames>",
			change: func(l *DomainList) { l.Domains = []string{"a.test", "b.test"} }},
		{name: "bad names", xml: "<domainnames><domainname>-a.test</domainname><domain>b.test</domain><domainname>a..b</domainname></domainnames>",
			problems: []string{`2:14: error: "-a.test" is not a domain name`, "2:46: warning: <domain> is not an element of <domainnames>; ignored: want <domainname>", `2:69: error: "a..b" is not a domain name`}},
		{name: "unset variable", xml: "<domainnames><domainname>${env:MAIL_DOMAIN}</domainname></domainnames>",
			problems: []string{`2:14: error: "${env:MAIL_DOMAIN}" is not a domain name`,
				"2:14: warning: ${env:MAIL_DOMAIN} has no value and stays as written; set the environment variable MAIL_DOMAIN, or give a default: ${env:MAIL_DOMAIN:-default}"}},
		{name: "cache", xml: "<read.cache.enable>true</read.cache.enable><read.cache.expiracy>1 minute</read.cache.expiracy>", change: func(l *DomainList) { l.Cache, l.CacheExpiry = true, time.Minute }},
		{name: "bad cache", xml: "<read.cache.expiracy>soon</read.cache.expiracy>", problems: []string{`2:1: error: <read.cache.expiracy>: "soon" is not a duration: want a number and a unit, such as 5 minutes`}},
		{name: "class", attrs: ` class="org.apache.james.domainlist.xml.XMLDomainList"`, change: func(l *DomainList) { l.ReadOnly = true }},
		{name: "other class", attrs: ` class="org.apache.james.domainlist.jpa.JPADomainList"`},
		{name: "unknown", xml: "<autoDetect>true</autoDetect>", problems: []string{`2:1: warning: <autoDetect> is not an element of <domainlist>; ignored (did you mean "autodetect"?)`}},
	})
}

func TestDomainVariable(t *testing.T) {
	env := func(name string) (string, bool) { return "Mail.TEST", name == "DOMAIN" }
	r := &Report{}
	l := Open("", Options{Env: env}, r).DomainList()
	if got, want := l.Domains, []string{"localhost", "mail.test"}; !reflect.DeepEqual(got, want) || r.HasErrors() {
		t.Errorf("got %v and %v, want %v", got, r.Problems(), want)
	}
}

func TestUsersRepository(t *testing.T) {
	def := UsersRepository{Pos: Pos{"usersrepository.xml", 1, 1}, Algorithm: "PBKDF2-SHA512", HashingMode: "plain"}
	const ldap = `1:1: error: LDAP is not supported: users are kept in the store; remove class= and the ldap attributes, and add the users with: mailetd user add; if LDAP matchers need the attributes, keep them and write class="com.github.mailetd.UsersRepository"`
	const ours = ` class="com.github.mailetd.UsersRepository" userBase="ou=people,o=test" userIdAttribute="mail" userObjectClass="person"`
	at := Pos{"usersrepository.xml", 1, 1}
	ldapOf := func(change func(*LDAP)) func(*UsersRepository) {
		return func(u *UsersRepository) {
			u.LDAP = &LDAP{Pos: at, Hosts: []string{"ldap://x"}, UserBase: "ou=people,o=test", UserIDAttribute: "mail", UserObjectClass: "person", PoolSize: 4, MaxWaitTime: time.Second}
			change(u.LDAP)
		}
	}
	runShapes(t, "usersrepository.xml", "usersrepository", (*Dir).UsersRepository, def, []shape[UsersRepository]{
		{name: "empty"},
		{name: "jpa", attrs: ` name="LocalUsers" class="org.apache.james.user.jpa.JPAUsersRepository"`, xml: `<destination URL="db://x"/><enableForwarding>true</enableForwarding>`},
		{name: "ldap", attrs: ` class="org.apache.james.user.ldap.ReadOnlyUsersLDAPRepository" ldapHost="ldap://x"`, problems: []string{ldap}},
		{name: "ldap without class", attrs: ` ldapHosts="ldap://x"`, problems: []string{ldap}},
		{name: "ldap attributes beside another class", attrs: ` class="org.apache.james.user.jpa.JPAUsersRepository" ldapHost="ldap://x"`, problems: []string{ldap}},
		{name: "ldap class and ours", attrs: ` class="com.github.mailetd.UsersLDAPRepository"`, problems: []string{ldap}},
		{name: "users", xml: `<enableVirtualHosting>true</enableVirtualHosting><user name="Bob@here.test" password="secret"/><user name="eve@here.test" algorithm="SHA-512/salted" hash="abc="/>`, change: func(u *UsersRepository) {
			u.VirtualHosting = true
			u.Users = []PresetUser{{Pos: Pos{"usersrepository.xml", 2, 50}, Name: "bob@here.test", Password: "secret"}, {Pos: Pos{"usersrepository.xml", 2, 96}, Name: "eve@here.test", Algorithm: "SHA-512/salted", Hash: "abc="}}
		}},
		{name: "user without domain", xml: `<enableVirtualHosting>true</enableVirtualHosting><user name="bob" password="x"/>`, change: func(u *UsersRepository) { u.VirtualHosting = true },
			problems: []string{"2:50: error: <user> bob: want name@domain, because <enableVirtualHosting> is true"}},
		{name: "user with domain", xml: `<user name="bob@here.test" password="x"/>`,
			problems: []string{"2:1: error: <user> bob@here.test: want a name without domain, because <enableVirtualHosting> is false"}},
		{name: "user with half a hash", xml: `<user name="bob" algorithm="SHA-512" hash="abcde"/><user name="eve" algorithm="NONE" hash="secret"/><user name="sam" algorithm="SCRAM-SHA-256" hash="4096:a$b:c"/>`,
			change: func(u *UsersRepository) {
				u.Users = []PresetUser{{Pos: Pos{"usersrepository.xml", 2, 52}, Name: "eve", Algorithm: "NONE", Hash: "secret"}, {Pos: Pos{"usersrepository.xml", 2, 101}, Name: "sam", Algorithm: "SCRAM-SHA-256", Hash: "4096:a$b:c"}}
			},
			problems: []string{"2:1: error: <user> bob: hash= is neither Base64 nor hexadecimal, so that no password would fit"}},
		{name: "bad users", xml: `<user/><user name="a"/><user name="b" password="x" hash="y"/><user name="c" hash="y"/><user name="d" hash="y" algorithm="ROT13"/><user name="e" password="x" pasword="y"/><user name="E" password="x"/>`,
			change: func(u *UsersRepository) {
				u.Users = []PresetUser{{Pos: Pos{"usersrepository.xml", 2, 130}, Name: "e", Password: "x"}}
			}, problems: []string{
				"2:1: error: <user> needs name=", "2:8: error: <user> a needs either password= or hash=", "2:24: error: <user> b needs either password= or hash=",
				`2:62: error: <user> c: algorithm= is ""; with hash= it tells how the hash was made, such as SHA-512/salted or PBKDF2-SHA512`,
				`2:87: error: <user> d: algorithm= is "ROT13"; with hash= it tells how the hash was made, such as SHA-512/salted or PBKDF2-SHA512`,
				`2:130: warning: attribute pasword of <user> is ignored (did you mean "password"?)`, "2:171: error: <user> e is there twice"}},
		{name: "our class alone", attrs: ` class="com.github.mailetd.UsersRepository"`},
		{name: "ldap for matchers", attrs: ours + ` ldapHost="ldap://x"`, change: ldapOf(func(*LDAP) {})},
		{name: "all of ldap", attrs: ours + ` ldapHosts="ldap://x, ldaps://y:1636," principal="cn=reader" credentials="secret" filter="(a=b)" poolSize="2" connectionTimeout="100"` +
			` readTimeout="200" maxWaitTime="300" trustAllCerts="true" userListBase="x" resolveLocalPartAttribute="uid"`,
			xml: "<domains><Far.test>ou=far,o=test</Far.test></domains><restriction/>", change: ldapOf(func(l *LDAP) {
				l.Hosts, l.Principal, l.Credentials, l.Filter = []string{"ldap://x", "ldaps://y:1636"}, "cn=reader", "secret", "(a=b)"
				l.PoolSize, l.ConnectionTimeout, l.ReadTimeout, l.MaxWaitTime = 2, 100*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond
				l.TrustAllCerts, l.DomainBases = true, map[string]string{"far.test": "ou=far,o=test"}
			})},
		{name: "ldap virtual hosting", attrs: ours + ` ldapHost="ldap://x"`, xml: "<supportsVirtualHosting>true</supportsVirtualHosting>",
			change: func(u *UsersRepository) { ldapOf(func(*LDAP) {})(u); u.VirtualHosting = true }},
		{name: "poor ldap", attrs: ` class="com.github.mailetd.UsersRepository" ldapHost="ldap://x" poolSize="0" readTimeout="soon" trustAllCerts="maybe"`, xml: "<domains><a.test/></domains>",
			problems: []string{"1:1: error: poolSize= is 0; want at least 1", `1:1: error: readTimeout= is "soon", not a whole number`, `1:1: error: trustAllCerts= is "maybe", not true or false`,
				"1:1: error: userBase= is required for LDAP", "1:1: error: userIdAttribute= is required for LDAP", "1:1: error: userObjectClass= is required for LDAP",
				"2:10: error: <a.test> is empty; want the name of the entry that its users are below"}, change: func(u *UsersRepository) {
				u.LDAP = &LDAP{Pos: at, Hosts: []string{"ldap://x"}, MaxWaitTime: time.Second}
			}},
		{name: "virtual hosting", xml: "<enableVirtualHosting>true</enableVirtualHosting>", change: func(u *UsersRepository) { u.VirtualHosting = true }},
		{name: "bad virtual hosting", xml: "<enableVirtualHosting>2</enableVirtualHosting>", problems: []string{`2:1: error: <enableVirtualHosting> is "2", not true or false`}},
		{name: "algorithm", xml: "<algorithm>PBKDF2-1000-512/salted</algorithm><hashingMode>legacy</hashingMode>", change: func(u *UsersRepository) { u.Algorithm, u.HashingMode = "PBKDF2-1000-512/salted", "legacy" }},
		{name: "digest", xml: "<algorithm>SHA-512</algorithm>", change: func(u *UsersRepository) { u.Algorithm = "SHA-512" }},
		{name: "bad algorithm", xml: "<algorithm>rot13</algorithm><hashingMode>none</hashingMode>", change: func(u *UsersRepository) { u.Algorithm, u.HashingMode = "rot13", "none" },
			problems: []string{`2:1: warning: <algorithm> "rot13" is unknown; passwords are hashed all the same`, `2:29: warning: <hashingMode> "none" is unknown; want plain, salted, legacy or legacy_salted`}},
		{name: "administrator", xml: "<administratorId>Boss@a.test</administratorId>", change: func(u *UsersRepository) { u.Administrators = []string{"boss@a.test"} }},
		{name: "administrators", xml: "<administratorIds><administratorId>a@a.test</administratorId><administratorId>b@a.test</administratorId></administratorIds>",
			change: func(u *UsersRepository) { u.Administrators = []string{"a@a.test", "b@a.test"} }},
		{name: "delay", xml: "<verifyFailureDelay>2</verifyFailureDelay>", change: func(u *UsersRepository) { u.VerifyFailureDelay = 2 * time.Second }},
		{name: "bad delay", xml: "<verifyFailureDelay>-2</verifyFailureDelay>", problems: []string{"2:1: error: <verifyFailureDelay>: Duration amount should be positive"}},
		{name: "unknown", xml: "<admin>x</admin>", problems: []string{"2:1: warning: <admin> is not an element of <usersrepository>; ignored"}},
	})
}

func TestRecipientRewriteTable(t *testing.T) {
	at := Pos{"recipientrewritetable.xml", 1, 1}
	line := func(col int) Pos { return Pos{"recipientrewritetable.xml", 2, col} }
	def := RecipientRewriteTable{Pos: at, Recursive: true, Limit: 10}
	const class = ` class="org.apache.james.rrt.file.XMLRecipientRewriteTable"`
	static := func(list ...StaticMapping) func(*RecipientRewriteTable) {
		return func(t *RecipientRewriteTable) { t.ReadOnly, t.Static = true, list }
	}
	runShapes(t, "recipientrewritetable.xml", "recipientrewritetable", (*Dir).RecipientRewriteTable, def, []shape[RecipientRewriteTable]{
		{name: "empty"},
		{name: "limit", xml: "<mappingLimit>3</mappingLimit>", change: func(t *RecipientRewriteTable) { t.Limit = 3 }},
		{name: "limit zero", xml: "<mappingLimit>0</mappingLimit>", problems: []string{"2:1: error: <mappingLimit> is 0; want at least 1"}},
		{name: "limit no number", xml: "<mappingLimit>ten</mappingLimit>", problems: []string{`2:1: error: <mappingLimit> is "ten", not a whole number`}},
		{name: "not recursive", xml: "<recursiveMapping>false</recursiveMapping>", change: func(t *RecipientRewriteTable) { t.Recursive = false },
			problems: []string{`2:1: warning: <recursiveMapping> is false: one mapping is followed here, where James would refuse the recipient with "554 Too many mappings to process"`}},
		{name: "table of another class", attrs: ` class="org.apache.james.rrt.jpa.JPARecipientRewriteTable"`, xml: "<mapping>a@b=c@d</mapping>",
			problems: []string{`2:1: warning: <mapping> has an effect only with class="org.apache.james.rrt.file.XMLRecipientRewriteTable"; add mappings through webadmin`}},
		{name: "table", attrs: class, xml: "<mapping>A@b=C@d;e@f, *@b=x@y</mapping><mapping>*=z@z:w@w</mapping>", change: static(
			StaticMapping{line(1), "a@b", "c@d"}, StaticMapping{line(1), "a@b", "e@f"}, StaticMapping{line(1), "b", "x@y"},
			StaticMapping{line(40), "*", "z@z"}, StaticMapping{line(40), "*", "w@w"})},
		{name: "prefixes", attrs: class, xml: "<mapping>a@b=error:no such user</mapping><mapping>c@d=regex:(.*)@d:${1}@e;alias:x@y</mapping>", change: static(
			StaticMapping{line(1), "a@b", "error:no such user"}, StaticMapping{line(42), "c@d", "regex:(.*)@d:${1}@e"}, StaticMapping{line(42), "c@d", "alias:x@y"})},
		{name: "replaced", attrs: class, xml: "<mapping>a@b=c@d</mapping><mapping>a@b=e@f</mapping>", change: static(StaticMapping{line(27), "a@b", "e@f"})},
		{name: "no table", attrs: class, change: static(), problems: []string{"1:1: error: No mapping configured: XMLRecipientRewriteTable needs at least one <mapping>"}},
		{name: "bad line", attrs: class, xml: "<mapping>a@b=c@d,nothing,x@y=</mapping>", change: static(StaticMapping{line(1), "a@b", "c@d"}), problems: []string{
			`2:1: error: "nothing" is not a mapping; want source=target, such as bob@example.com=robert@example.com`,
			`2:1: error: "x@y=" is not a mapping; want source=target, such as bob@example.com=robert@example.com`}},
		{name: "unknown", xml: "<mappinglimit>1</mappinglimit>", problems: []string{`2:1: warning: <mappinglimit> is not an element of <recipientrewritetable>; ignored (did you mean "mappingLimit"?)`}},
	})
}

func TestDNSService(t *testing.T) {
	def := DNSService{Pos: Pos{"dnsservice.xml", 1, 1}, Autodiscover: true, MaxCacheSize: 50_000, NegativeCacheTTL: -time.Second}
	runShapes(t, "dnsservice.xml", "dnsservice", (*Dir).DNSService, def, []shape[DNSService]{
		{name: "empty"},
		{name: "servers", xml: "<servers><server>192.0.2.1</server><server>2001:db8::1</server><server>127.0.0.1:5353</server><server>[::1]:5353</server></servers>",
			change: func(s *DNSService) {
				s.Servers = []string{"192.0.2.1:53", "[2001:db8::1]:53", "127.0.0.1:5353", "[::1]:5353"}
			}},
		{name: "bad servers", xml: "<servers><server>ns.test</server><server>1.2.3.4:0</server><ns>1.2.3.4</ns></servers>", problems: []string{
			`2:10: error: <server> is "ns.test"; want an IP address, such as 192.0.2.53 or [2001:db8::53]:53`,
			`2:34: error: <server> is "1.2.3.4:0"; want an IP address, such as 192.0.2.53 or [2001:db8::53]:53`,
			`2:60: warning: <ns> is not an element of <servers>; ignored: want <server>`}},
		{name: "switches", xml: "<autodiscover>false</autodiscover><authoritative>true</authoritative><singleIPperMX>true</singleIPperMX><verbose>true</verbose><setAsDNSJavaDefault>true</setAsDNSJavaDefault>",
			change: func(s *DNSService) {
				s.Autodiscover, s.Authoritative, s.SingleIPPerMX, s.Verbose = false, true, true, true
			}, problems: []string{
				"2:35: warning: <authoritative> has no effect here: answers of caching resolvers are taken, too",
				"2:70: warning: <singleIPperMX> has no effect here: all addresses of a host are tried",
				"2:105: warning: <verbose> has no effect here: queries are not logged"}},
		{name: "numbers", xml: "<maxcachesize>10</maxcachesize><negativeCacheTTL>60</negativeCacheTTL>", change: func(s *DNSService) { s.MaxCacheSize, s.NegativeCacheTTL = 10, time.Minute }},
		{name: "bad numbers", xml: "<maxcachesize>-1</maxcachesize><negativeCacheTTL>never</negativeCacheTTL>", problems: []string{
			"2:1: error: <maxcachesize> is -1; want at least 0", `2:32: error: <negativeCacheTTL> is "never", not a whole number`}},
		{name: "search", xml: "<searchpaths><searchpath>a.test.</searchpath><searchpath>a b</searchpath></searchpaths>", change: func(s *DNSService) { s.SearchPaths = []string{"a.test."} },
			problems: []string{"2:1: warning: <searchpaths> has no effect here: names of mail domains are complete", `2:46: error: <searchpath> is "a b", which is not a domain name`}},
		{name: "twice and unknown", xml: "<verbose>false</verbose><verbose>true</verbose><cache/>", problems: []string{
			"2:25: warning: <verbose> is given twice; the first one counts", "2:48: warning: <cache> is not an element of <dnsservice>; ignored"}},
	})
}

func TestMailRepositoryStore(t *testing.T) {
	def := MailRepositoryStore{Pos: Pos{"mailrepositorystore.xml", 1, 1}, DefaultProtocol: "file"}
	repo := func(class, protocols string) string {
		return `<mailrepositories><mailrepository class="` + class + `"><protocols>` + protocols + `</protocols><config FIFO="false"/></mailrepository></mailrepositories>`
	}
	runShapes(t, "mailrepositorystore.xml", "mailrepositorystore", (*Dir).MailRepositoryStore, def, []shape[MailRepositoryStore]{
		{name: "empty"},
		{name: "first protocol", xml: repo("org.apache.james.mailrepository.cassandra.CassandraMailRepository", "<protocol>cassandra</protocol><protocol>x</protocol>"),
			change: func(s *MailRepositoryStore) { s.DefaultProtocol, s.Protocols = "cassandra", []string{"cassandra", "x"} }},
		{name: "default", xml: "<defaultProtocol>jpa</defaultProtocol>", change: func(s *MailRepositoryStore) { s.DefaultProtocol = "jpa" }},
		{name: "bad default", xml: "<defaultProtocol>cassandar</defaultProtocol>", problems: []string{
			`2:1: error: <defaultProtocol> is "cassandar", which no <mailrepository> serves (did you mean "cassandra"?)`}},
		{name: "unknown class", xml: repo("com.acme.FileMailRepositry", "<protocol>file</protocol>"), change: func(s *MailRepositoryStore) { s.Protocols = []string{"file"} }, problems: []string{
			`2:19: error: no mail repository class com.acme.FileMailRepositry (did you mean "FileMailRepository"?); any of James's will do, all are kept in the store`}},
		{name: "no class", xml: repo("", "<protocol>file</protocol>"), change: func(s *MailRepositoryStore) { s.Protocols = []string{"file"} }, problems: []string{
			`2:19: error: <mailrepository> needs class=, such as org.apache.james.mailrepository.file.FileMailRepository`}},
		{name: "no protocol", xml: repo("org.apache.james.mailrepository.memory.MemoryMailRepository", ""), problems: []string{
			`2:19: warning: <mailrepository> names no <protocol>: no URL leads to it`}},
		{name: "bad protocol", xml: repo("org.apache.james.mailrepository.memory.MemoryMailRepository", "<protocol>a://</protocol>"), problems: []string{
			`2:114: error: <protocol> is "a://"; want the part of a URL before ://`}},
		{name: "unknown", xml: "<mailrepositories><repo/></mailrepositories><x/>", problems: []string{
			"2:19: warning: <repo> is not an element of <mailrepositories>; ignored: want <mailrepository>", "2:45: warning: <x> is not an element of <mailrepositorystore>; ignored"}},
	})
	s := MailRepositoryStore{Protocols: []string{"mine"}}
	for _, tc := range []struct {
		name            string
		known, declared bool
	}{{"mine", true, true}, {"cassandra", true, false}, {"ftp", false, false}} {
		if known, declared := s.Protocol(tc.name); known != tc.known || declared != tc.declared {
			t.Errorf("Protocol(%q): got %t, %t", tc.name, known, declared)
		}
	}
}

func TestJVM(t *testing.T) {
	def := JVM{MemoryThreshold: 100 << 10, ExitOnStartupError: true, CheckMailetContainer: true, ReverseLookup: true}
	for _, tc := range []struct {
		name, file string
		flags      map[string]string
		change     func(*JVM)
		problems   string
	}{
		{name: "empty"},
		{name: "all", file: "james.message.memory.threshold=1 MiB\njames.exit.on.startup.error=false\njames.fail.on.missing.configuration=true\njames.mailet.container.check.enabled=false\njames.protocols.mdc.hostname=false\nother=1",
			change: func(j *JVM) { *j = JVM{MemoryThreshold: 1 << 20, FailOnMissing: true} }},
		{name: "size units", file: "james.message.memory.threshold=12K", change: func(j *JVM) { j.MemoryThreshold = 12 << 10 }},
		{name: "flag wins", file: "james.message.memory.threshold=1", flags: map[string]string{"james.message.memory.threshold": "2B"}, change: func(j *JVM) { j.MemoryThreshold = 2 }},
		{name: "bad", file: "\njames.message.memory.threshold=much\n  james.protocols.mdc.hostname: perhaps", flags: map[string]string{"james.exit.on.startup.error": "x"}, problems: `-Djames.exit.on.startup.error: error: james.exit.on.startup.error is "x", not true or false
jvm.properties:2:1: error: james.message.memory.threshold is "much"; want a size such as 100KIB
jvm.properties:3:3: error: james.protocols.mdc.hostname is "perhaps", not true or false
`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Report{}
			d := Open(folder(t, map[string]string{"jvm.properties": tc.file}), Options{Sys: tc.flags, Env: noEnv}, r)
			want := def
			if tc.change != nil {
				tc.change(&want)
			}
			if got := d.JVM(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if got := problemLines(r); got != tc.problems {
				t.Errorf("got problems\n%s\nwant\n%s", got, tc.problems)
			}
		})
	}
}

func TestSmallProperties(t *testing.T) {
	r := &Report{}
	d := Open(folder(t, map[string]string{
		"classes.properties":     "com.acme.Local = LocalDelivery\ncom.acme.None =\n",
		"healthcheck.properties": "healthcheck.period=5s\nreception.check.user=a@b\nreception.check.timeout=2\nadditional.healthchecks=com.acme.X\nfoo=1\n",
		"droplists.properties":   "enabled=yes\n",
		"extensions.properties":  "guice.extension.module=\nguice.extension.tasks=com.acme.A, com.acme.B\n",
	}), Options{Env: noEnv}, r)
	if got, want := d.Classes(), []ClassMapping{{Pos{"classes.properties", 1, 1}, "com.acme.Local", "LocalDelivery"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got classes %v, want %v", got, want)
	}
	if got, want := d.HealthCheck(), (HealthCheck{time.Minute, "a@b", 2 * time.Second, []string{"com.acme.X"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !d.DropLists() {
		t.Error("drop lists are off")
	}
	d.Close()
	const want = `classes.properties:2:1: error: com.acme.None: want the name of a class after the =
extensions.properties:2:1: warning: guice.extension.tasks names Java classes (com.acme.A, com.acme.B), which have no effect here
healthcheck.properties:1:1: error: healthcheck.period: 5s is too short; want at least 10 seconds, with a unit
healthcheck.properties:4:1: warning: additional.healthchecks names Java classes (com.acme.X), which have no effect here
healthcheck.properties:5:1: warning: foo is not a key of healthcheck.properties; ignored
`
	if got := problemLines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for file, want := range map[string]string{
		"healthcheck.period=2h":    "healthcheck.properties:1:1: warning: healthcheck.period has no effect here: checks run when webadmin is asked for GET /healthcheck\n",
		"reception.check.user=a@b": "healthcheck.properties:1:1: warning: reception.check.user has no effect here: no mails are sent to see whether they arrive\n",
		"# none":                   "",
	} {
		d, r := one(t, "healthcheck.properties", file)
		d.Close()
		if got := problemLines(r); got != want {
			t.Errorf("%s: got %s", file, got)
		}
	}
	none := Open("", Options{Env: noEnv}, &Report{})
	if got := none.HealthCheck(); got.Period != time.Minute || none.DropLists() || len(none.Classes()) > 0 {
		t.Errorf("got %+v without files", got)
	}
}
