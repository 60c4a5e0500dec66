package conf

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDirFindsFiles(t *testing.T) {
	r := &Report{}
	d := Open(folder(t, map[string]string{
		"domainlist.xml": "<domainlist/>", "jmx.properties": "", "META-INF/persistence.xml": "", "keystore": "", "notes.txt": "",
		"mailetcontainer.xml.bak": "", "jvm.properties": "a=b\n",
	}), Options{Env: noEnv}, r)
	if f := d.XML("domainlist.xml"); f.Root == nil || f != d.XML("domainlist.xml") {
		t.Error("domainlist.xml is not read, or twice")
	}
	if f := d.XML("dnsservice.xml"); f.Root == nil {
		t.Error("the built-in dnsservice.xml is not used")
	}
	if f := d.XML("lmtpserver.xml"); f == nil || f.Root != nil {
		t.Error("a file that is nowhere has a root")
	}
	if p := d.Properties("droplists.properties"); p.Exists {
		t.Error("a file that is nowhere exists")
	}
	if p := d.Properties("webadmin.properties"); !p.Exists || p != d.Properties("webadmin.properties") {
		t.Error("the built-in webadmin.properties is not used")
	}
	if got, want := d.Loaded(), []string{"domainlist.xml", "jvm.properties"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got loaded %v, want %v", got, want)
	}
	if got, want := d.Defaulted(), []string{"dnsservice.xml", "webadmin.properties"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got defaulted %v, want %v", got, want)
	}
	if got, want := d.Ignored(), []string{"META-INF", "jmx.properties"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got ignored %v, want %v", got, want)
	}
	if v, ok := d.Sys("a"); v != "b" || !ok {
		t.Errorf("got sys:a = %q", v)
	}
	d.Close()
	if got := problemLines(r); got != "" {
		t.Errorf("got problems\n%s", got)
	}
}

func TestDirUnknownFiles(t *testing.T) {
	r := &Report{}
	d := Open(folder(t, map[string]string{
		"mailetcontainers.xml": "<a/>", "mine.properties": "", "jvm.properties": "include = more.properties\nincludeoptional = none.properties\n",
		"more.properties": "x=1\n", "templates.xml": "",
	}), Options{Env: noEnv}, r)
	if _, err := d.Path("file://conf/templates.xml"); err != nil {
		t.Error(err)
	}
	d.Close()
	const want = `mailetcontainers.xml: warning: James has no configuration file of this name; ignored (did you mean "mailetcontainer.xml"?)
mine.properties: warning: James has no configuration file of this name; ignored (did you mean "jvm.properties"?)
`
	if got := problemLines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDirUnreadable(t *testing.T) {
	dir := folder(t, map[string]string{"smtpserver.xml/x": ""})
	big, err := os.Create(filepath.Join(dir, "mailetcontainer.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := big.Truncate(MaxFileSize + 1); err != nil {
		t.Fatal(err)
	}
	if err := big.Close(); err != nil {
		t.Fatal(err)
	}
	r := &Report{}
	d := Open(dir, Options{Env: noEnv}, r)
	if c := d.MailetContainer(); c != nil {
		t.Error("got a container from a file that is too big")
	}
	if f := d.XML("smtpserver.xml"); f.Root != nil {
		t.Error("the built-in file stands for one that cannot be read")
	}
	const want = `mailetcontainer.xml: error: the file cannot be read: it has 16777217 octets; no configuration file may have more than 16777216
smtpserver.xml: error: the file cannot be read: it is not a regular file
`
	if got := problemLines(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r = &Report{}
	d = Open(filepath.Join(dir, "nowhere"), Options{Env: noEnv}, r)
	if d.MailetContainer() == nil || !r.HasErrors() || !strings.Contains(problemLines(r), "nowhere: error: the configuration folder cannot be read: no such file or directory") {
		t.Errorf("a folder that is not there: got %s", problemLines(r))
	}
}

func TestDirStrict(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		sys        map[string]string
		problems   string
	}{
		{name: "off"},
		{name: "file", file: "james.fail.on.missing.configuration=true", problems: "dnsservice.xml: error: the file is missing, and james.fail.on.missing.configuration is true: add it, or set that to false to use the built-in one\n"},
		{name: "flag wins", file: "james.fail.on.missing.configuration=true", sys: map[string]string{"james.fail.on.missing.configuration": "false"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &Report{}
			d := Open(folder(t, map[string]string{"jvm.properties": tc.file}), Options{Sys: tc.sys, Env: noEnv}, r)
			d.XML("dnsservice.xml")
			d.XML("lmtpserver.xml")
			d.Properties("webadmin.properties")
			if got := problemLines(r); got != tc.problems {
				t.Errorf("got\n%s\nwant\n%s", got, tc.problems)
			}
		})
	}
}

func TestDirPaths(t *testing.T) {
	dir := folder(t, map[string]string{"keystore": "secret"})
	root := filepath.Dir(dir)
	d := Open(dir, Options{Env: noEnv}, &Report{})
	data := Open(dir, Options{Env: noEnv, Data: "/data", Sys: map[string]string{"working.directory": "/srv"}}, &Report{})
	none := Open("", Options{Env: noEnv}, &Report{})
	for _, tc := range []struct {
		d         *Dir
		ref, want string
		err       string
	}{
		{d: d, ref: "file://conf/keystore", want: dir + "/keystore"},
		{d: d, ref: " file://var/x/y ", want: root + "/var/x/y"},
		{d: d, ref: "file:///abs/x", want: "/abs/x"},
		{d: d, ref: "file:/abs/x", want: "/abs/x"},
		{d: d, ref: "file://other/x", want: root + "/other/x"},
		{d: d, ref: "plain.pem", want: root + "/plain.pem"},
		{d: d, ref: "/abs.pem", want: "/abs.pem"},
		{d: d, ref: "conf/x", want: root + "/conf/x"},
		{d: data, ref: "file://var/x", want: "/data/x"},
		{d: data, ref: "file://x", want: "/srv/x"},
		{d: none, ref: "file://conf/x", want: "conf/x"},
		{d: none, ref: "file://var/x", want: "var/x"},
		{d: d, ref: "", err: "the name of the file is empty"},
		{d: d, ref: "file://", err: "the name of the file is empty"},
		{d: d, ref: "classpath:keystore", err: `"classpath:keystore" names no file; want file://conf/NAME or an absolute path`},
		{d: d, ref: "http://x/y", err: `"http://x/y" names no file; want file://conf/NAME or an absolute path`},
		{d: d, ref: "a\x00b", err: `"a\x00b" names no file`},
	} {
		got, err := tc.d.Path(tc.ref)
		if err == nil && tc.err != "" || err != nil && err.Error() != tc.err || got != tc.want {
			t.Errorf("Path(%q): got %q, %v, want %q, %s", tc.ref, got, err, tc.want, tc.err)
		}
	}
	if b, err := d.ReadFile("file://conf/keystore"); err != nil || string(b) != "secret" {
		t.Errorf("got %q, %v", b, err)
	}
	if b, err := d.ReadFile("classpath://domainlist.xml"); err != nil || !strings.Contains(string(b), "<domainlist>") {
		t.Errorf("got %q, %v", b, err)
	}
	for _, ref := range []string{"classpath:keystore", "file://conf/none", "", "file://conf"} {
		if _, err := d.ReadFile(ref); err == nil {
			t.Errorf("ReadFile(%q): got no error", ref)
		}
	}
}
