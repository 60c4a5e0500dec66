package ldap

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
moduleload back_mdb
pidfile DIR/pid
database mdb
suffix "o=test"
rootdn "cn=reader,o=test"
rootpw secret
directory DIR
`

const slapdData = `dn: o=test
objectClass: organization
o: test

dn: ou=people,o=test
objectClass: organizationalUnit
ou: people

dn: ou=far,o=test
objectClass: organizationalUnit
ou: far

dn: ou=groups,o=test
objectClass: organizationalUnit
ou: groups

dn: uid=ann,ou=people,o=test
objectClass: inetOrgPerson
cn: Ann
sn: A
uid: ann
mail: ann@here.test
mail: ann.a@here.test
description: one
description: two

dn: cn=Bob + sn=B,ou=far,o=test
objectClass: inetOrgPerson
cn: Bob
sn: B
mail: bob@far.test

dn: cn=guest,o=test
objectClass: inetOrgPerson
cn: guest
sn: G
mail: guest@else.test

dn: cn=team,ou=groups,o=test
objectClass: groupOfNames
cn: team
member: UID=ANN, ou=People, o=Test
member: sn=B+cn=bob,ou=far,o=test
member: cn=guest,o=test
member: cn=gone,o=test
`

// TestSlapd asks OpenLDAP where it is installed.
func TestSlapd(t *testing.T) {
	slapd, err := exec.LookPath("slapd")
	if err != nil {
		slapd = "/usr/sbin/slapd"
	}
	if _, err := os.Stat(slapd); err != nil {
		return // TestValues and TestMembers are all there is without it
	}
	addr := startSlapd(t, slapd)
	set := settings("ldap://" + addr)
	set.UserObjectClass = "inetOrgPerson"
	c := client(t, set)
	for address, want := range map[string][]string{"ANN@here.test": {"one", "two"}, "ann.a@here.test": {"one", "two"}, "bob@far.test": nil, `"*"@here.test`: nil, "ü@here.test": nil} {
		got, err := c.Values(t.Context(), container.MustAddress(address), "Description")
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %q and %v, want %q", address, got, err, want)
		}
	}
	got, err := c.Members(t.Context(), "CN=Team, ou=groups,o=test", addresses("x@here.test ann.a@here.test bob@far.test guest@else.test"))
	if want := addresses("ann.a@here.test bob@far.test guest@else.test"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v and %v, want %v", got, err, want)
	}
	if _, err := c.Members(t.Context(), "cn=none,ou=groups,o=test", addresses("x@here.test")); !errors.Is(err, ErrNotFound) {
		t.Errorf("no group: %v", err)
	}
	set.Credentials = "guess"
	if _, err := client(t, set).Values(t.Context(), container.MustAddress("ann@here.test"), "sn"); err == nil || !strings.Contains(err.Error(), "Invalid Credentials") {
		t.Errorf("wrong password: %v", err)
	}
}

// startSlapd runs a server of our own until the end of the test.
func startSlapd(t *testing.T, slapd string) (addr string) {
	t.Helper()
	dir := t.TempDir()
	config, data := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "data.ldif")
	for name, text := range map[string]string{config: slapdConf, data: slapdData} {
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(slapd, "-T", "add", "-f", config, "-l", data).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(slapd, "-f", config, "-h", "ldap://"+addr, "-d", "256")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if strings.Contains(lines.Text(), "slapd starting") {
				started <- true
			}
		}
		close(started)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait() // it was killed
	})
	if !<-started {
		t.Fatal("slapd ended")
	}
	again := time.NewTicker(10 * time.Millisecond) // it listens soon after it says so
	defer again.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-again.C {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}
