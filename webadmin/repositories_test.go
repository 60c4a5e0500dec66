package webadmin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

const generic = "Invalid arguments supplied in the user request"

func TestRepositoryList(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("GET", "/mailRepositories", "", 200, "[]")
	b.want("PUT", "/mailRepositories/var%2Fmail%2Ferror%2F?protocol=file", "", 204, "")
	b.want("PUT", "/mailRepositories/var%2Fmail%2Ferror?protocol=file", "", 204, "")
	b.want("PUT", "/mailRepositories/var%2Fmail%2Ferror?protocol=cassandra", "", 204, "")
	b.want("PUT", "/mailRepositories/memory%3A%2F%2Fa%20b", "", 204, "")
	b.want("PUT", "/mailRepositories/%2Fabsolute?protocol=file", "", 204, "")
	b.want("GET", "/mailRepositories", "", 200, `[{"repository":"/absolute","path":"%2Fabsolute"},{"repository":"a b","path":"a%20b"},{"repository":"var/mail/error","path":"var%2Fmail%2Ferror"}]`)
	b.wantError("PUT", "/mailRepositories/x?protocol=xyz", "", 400, "InvalidArgument", "'xyz' is an unsupported protocol", "")
	b.wantError("PUT", "/mailRepositories/x", "", 400, "InvalidArgument", "'protocol' query parameter is compulsory", "")
	b.store.fail = errDisk
	b.wantError("PUT", "/mailRepositories/x?protocol=file", "", 500, "ServerError", "Error while creating a mail repository with path 'x' and protocol 'file'", "disk full")
}

// One path under two protocols is one repository, unless the request names a
// protocol that exists there.
func TestRepositoryNames(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.put("file://var/mail/error", "m1", nil)
	b.put("file://var/mail/error", "m2", nil)
	b.put("memory://var/mail/error", "m3", nil)
	for name, size := range map[string]int{
		"var%2Fmail%2Ferror":                   3,
		"var%2Fmail%2Ferror%2F":                3,
		"file%3A%2F%2Fvar%2Fmail%2Ferror":      2,
		"file%3A%2F%2Fvar%2Fmail%2Ferror%2F":   2,
		"memory%3A%2F%2Fvar%2Fmail%2Ferror":    1,
		"cassandra%3A%2F%2Fvar%2Fmail%2Ferror": 3,
	} {
		b.want("GET", "/mailRepositories/"+name, "", 200, fmt.Sprintf(`{"repository":"var/mail/error","path":"var%%2Fmail%%2Ferror","size":%d}`, size))
	}
	b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails", "", 200, `["m1","m2","m3"]`)
	b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?limit=2&offset=1", "", 200, `["m2","m3"]`)
	b.want("GET", "/mailRepositories/memory%3A%2F%2Fvar%2Fmail%2Ferror/mails", "", 200, `["m3"]`)
	for _, name := range []string{"var%2Fmail", "VAR%2Fmail%2Ferror", "file%3A%2F%2F", "%2Fvar%2Fmail%2Ferror"} {
		if w := b.do("GET", "/mailRepositories/"+name, ""); w.Code != 404 {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
}

func TestUnknownRepository(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const path, missing = "/mailRepositories/cassandra%3A%2F%2Fvar%2Fmail%2Fx%2F", "var/mail/x does not exist"
	for _, r := range [][2]string{
		{"GET", ""}, {"GET", "/mails"}, {"GET", "/mails/k"}, {"DELETE", "/mails/k"}, {"DELETE", "/mails"}, {"PATCH", "/mails?action=reprocess"},
	} {
		b.wantError(r[0], path+r[1], "", 404, "notFound", missing, "")
	}
	const moved = "The repository 'var/mail/x' (decoded value: 'var/mail/x') does not exist"
	b.wantError("PATCH", path+"/mails", `{"mailRepository":"y"}`, 404, "notFound", moved, "")
	b.wantError("PATCH", path+"/mails/k", `{"mailRepository":"y"}`, 404, "notFound", moved, "")
}

func TestKeys(t *testing.T) {
	b := newBench(t, Config{}, nil)
	mails := []struct {
		name, sender, rcpt, addr, host string
		age                            time.Duration
	}{
		{"m1", "a@x.org", "r@one.org", "10.0.0.1", "h1", time.Hour},
		{"m2", "B@X.org", "r@two.org", "10.0.0.2", "h2", 50 * time.Hour},
		{"m3", "", "R@one.org", "10.0.0.1", "h2", 73 * time.Hour},
	}
	for _, d := range mails {
		b.put(errorRepo, d.name, func(m *container.Mail) {
			m.Sender = container.Address{}
			if d.sender != "" {
				m.Sender = container.MustAddress(d.sender)
			}
			m.Recipients = []container.Address{container.MustAddress("first@three.org"), container.MustAddress(d.rcpt)}
			m.RemoteAddr, m.RemoteHost, m.LastUpdated = d.addr, d.host, now.Add(-d.age)
		})
	}
	for query, want := range map[string]string{
		"":                                     "m1 m2 m3",
		"limit=2":                              "m1 m2",
		"limit=2&offset=2":                     "m3",
		"offset=1":                             "m2 m3",
		"offset=7":                             "",
		"updatedBefore=2days":                  "m2 m3",
		"updatedAfter=2+days":                  "m1",
		"updatedBefore=2days&updatedAfter=72h": "m2",
		"updatedBefore=3600":                   "m2 m3",
		"sender=b@x.ORG":                       "m2",
		"sender=*@x.org":                       "m1 m2",
		"recipient=r@one.org":                  "m1 m3",
		"recipient=*@three.org":                "m1 m2 m3",
		"remoteAddress=10.0.0.1":               "m1 m3",
		"remoteHost=h2&remoteAddress=10.0.0.1": "m3",
		"recipient=*@three.org&limit=1":        "m1",
	} {
		want := `["` + strings.ReplaceAll(want, " ", `","`) + `"]`
		if want == `[""]` {
			want = "[]"
		}
		b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?"+query, "", 200, want)
	}
	for _, tc := range [][3]string{
		{"limit=x", "Can not parse limit", "*"}, {"limit=-1", "limit can not be negative", ""}, {"limit=0", "limit can not be equal to zero", ""},
		{"offset=x", "Can not parse offset", "*"}, {"offset=-1", "offset can not be negative", ""},
		{"updatedBefore=soon", generic, "*"}, {"updatedAfter=-1day", generic, "Duration amount should be positive"},
	} {
		b.wantError("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?"+tc[0], "", 400, "InvalidArgument", tc[1], tc[2])
	}
	b.store.fail = errDisk
	b.wantError("GET", "/mailRepositories/var%2Fmail%2Ferror/mails", "", 500, "ServerError", "Error while listing keys", "disk full")
	b.wantError("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?limit=1", "", 500, "ServerError", "Error while listing keys", "disk full")
}

const multipart = "Subject: =?utf-8?q?caf=C3=A9?=\r\nX-Two: one\r\nX-Two: two\r\n folded\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n" +
	"Content-Transfer-Encoding: quoted-printable\r\n\r\nna=EFve\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>hi</p>\r\n--b--\r\n"

func TestMail(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.put(errorRepo, "mail-key-1", func(m *container.Mail) {
		m.Recipients = append(m.Recipients, container.MustAddress("r2@domain.com"))
		m.ErrorMessage, m.RemoteHost, m.RemoteAddr = "A small <message>", "h.test", "127.0.0.1"
		m.Message = container.ParseMessage([]byte(multipart))
		m.Set("a", "text")
		m.Set("n", int32(3))
		m.AddRecipientHeader(m.Recipients[0], "X-H", "1")
		m.AddRecipientHeader(m.Recipients[0], "X-H", "2")
	})
	b.put(errorRepo, "null", func(m *container.Mail) { m.Sender, m.State = container.Address{}, "" })
	const path = "/mailRepositories/var%2Fmail%2Ferror/mails/"
	const first = `{"name":"mail-key-1","sender":"sender@domain.com","recipients":["r1@domain.com","r2@domain.com"],"state":"error","error":"A small <message>","remoteHost":"h.test","remoteAddr":"127.0.0.1","lastUpdated":"2026-08-22T06:44:35.123+0000",`
	b.want("GET", path+"mail-key-1", "", 200, first+`"attributes":null,"perRecipientsHeaders":null,"headers":null,"textBody":null,"htmlBody":null,"messageSize":null}`)
	b.want("GET", path+"mail-key-1?additionalFields=attributes,HEADERS,+textbody,,htmlBody,messageSize,perRecipientsHeaders,attributes", "", 200,
		first+`"attributes":{"a":"text","n":"3"},"perRecipientsHeaders":{"r1@domain.com":{"X-H":["1","2"]}},`+
			`"headers":{"Content-Type":["multipart/alternative; boundary=b"],"MIME-Version":["1.0"],"Subject":["café"],"X-Two":["one","two folded"]},`+
			fmt.Sprintf(`"textBody":"naïve","htmlBody":"<p>hi</p>","messageSize":%d}`, len(multipart)))
	b.want("GET", path+"null", "", 200, `{"name":"null","sender":null,"recipients":["r1@domain.com"],"state":null,"error":null,"remoteHost":"localhost","remoteAddr":"127.0.0.1","lastUpdated":"2026-08-22T06:44:35.123+0000","attributes":null,"perRecipientsHeaders":null,"headers":null,"textBody":null,"htmlBody":null,"messageSize":null}`)
	b.wantError("GET", path+"mail-key-1?additionalFields=x", "", 400, "InvalidArgument", "The field 'x' can't be requested in additionalFields parameter", "x")
	b.wantError("GET", path+"mail-key-2", "", 404, "notFound", "Could not retrieve mail-key-2", "")

	for accept, want := range map[string]string{
		"*/*": "application/json", "application/json": "application/json", "message/rfc822": rfc822, "message/rfc822, */*;q=0.1": rfc822,
		"text/html, application/json;q=0.5, message/rfc822;q=0.4": "application/json", "": "application/json",
	} {
		w := b.do("GET", path+"mail-key-1", "", "Accept", accept)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != want {
			t.Errorf("Accept %q: got %d %s, want %s", accept, w.Code, got, want)
		}
		if want == rfc822 && (w.Body.String() != multipart || w.Header().Get("Content-Length") != fmt.Sprint(len(multipart))) {
			t.Errorf("Accept %q: got length %s, body %q", accept, w.Header().Get("Content-Length"), w.Body)
		}
	}
	if w := b.do("GET", path+"mail-key-1", "", "Accept", "text/html"); w.Code != 404 {
		t.Errorf("Accept text/html: got %d", w.Code)
	}
	if w := b.do("GET", path+"nothing", "", "Accept", rfc822); w.Code != 404 || !strings.Contains(w.Body.String(), "Could not retrieve nothing") {
		t.Errorf("unknown key as message: got %d %s", w.Code, w.Body)
	}
	b.store.fail = errDisk
	b.wantError("GET", path+"mail-key-1", "", 500, "ServerError", "Error while retrieving mail", "disk full")
}

func TestTextTooLong(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.put(errorRepo, "m", func(m *container.Mail) {
		m.Message = container.NewMessage([]byte("Subject: x\r\n"), container.BytesBody(strings.Repeat("x", maxText+1)))
	})
	b.wantError("GET", "/mailRepositories/var%2Fmail%2Ferror/mails/m?additionalFields=textBody", "", 500, "ServerError", "The field 'textBody' requested in additionalFields parameter can't be accessed", "*")
}

func TestTextOfUnknownEncoding(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.put(errorRepo, "m", func(m *container.Mail) {
		m.Message = container.NewMessage([]byte("Content-Transfer-Encoding: 7-bit\r\n"), container.BytesBody("hello"))
	})
	w := b.do("GET", "/mailRepositories/var%2Fmail%2Ferror/mails/m?additionalFields=textBody", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"textBody":"hello"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestDeleteMails(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	for i := range 3 {
		b.put(errorRepo, fmt.Sprint("m", i), nil)
	}
	const path = "/mailRepositories/var%2Fmail%2Ferror/mails"
	b.want("DELETE", path+"/m1", "", 204, "")
	b.want("DELETE", path+"/m1", "", 204, "")
	b.want("GET", path, "", 200, `["m0","m2"]`)
	got := b.task("DELETE", path, "")
	wantInfo(t, got, "clear-mail-repository", "completed", `{"initialCount":2,"remainingCount":0,"repositoryPath":"var/mail/error","timestamp":"2026-08-22T06:44:35.123Z","type":"clear-mail-repository"}`)
	b.want("GET", path, "", 200, "[]")
	b.store.fail = errDisk
	b.wantError("DELETE", path+"/m1", "", 500, "ServerError", "Error while deleting mail", "disk full")
}

// wantInfo compares type, status and additionalInformation of a task.
func wantInfo(t *testing.T, got map[string]any, kind, status, info string) {
	t.Helper()
	text, _ := marshal(got["additionalInformation"])
	if got["type"] != kind || got["status"] != status || string(text) != info {
		t.Errorf("got  %v %v %s\nwant %s %s %s", got["type"], got["status"], text, kind, status, info)
	}
}

func TestMove(t *testing.T) {
	b := newBench(t, Config{}, nil)
	for i := range 3 {
		b.put(errorRepo, fmt.Sprint("m", i), nil)
	}
	b.put("memory://var/other", "o", nil)
	b.put("file://var/other", "p", nil)
	const path = "/mailRepositories/var%2Fmail%2Ferror/mails"
	b.want("PATCH", path+"/m1?action=reprocess", `{"mailRepository":"var/other"}`, 204, "")
	b.want("PATCH", path+"/unknown", `{"mailRepository":"var/other"}`, 204, "")
	b.want("GET", "/mailRepositories/file%3A%2F%2Fvar%2Fother/mails", "", 200, `["p","m1"]`)
	b.want("PATCH", path, `{"mailRepository":"memory://var/other/"}`, 204, "")
	b.want("GET", "/mailRepositories/memory%3A%2F%2Fvar%2Fother/mails", "", 200, `["o","m0","m2"]`)
	b.want("PATCH", "/mailRepositories/memory%3A%2F%2Fvar%2Fother/mails", `{"mailRepository":"var/other"}`, 204, "")
	for _, p := range []string{path, path + "/m1"} {
		b.wantError("PATCH", p, "{", 400, "InvalidArgument", "Invalid JSON body", "*")
		b.wantError("PATCH", p, `[]`, 400, "InvalidArgument", "Invalid JSON body", "*")
		b.wantError("PATCH", p, "{}", 400, "InvalidArgument", "'mailRepository' field is mandatory in request body", "")
		b.wantError("PATCH", p, `{"mailRepository":" "}`, 400, "InvalidArgument", "'mailRepository' field is mandatory in request body", "")
		b.wantError("PATCH", p, `{"mailRepository":"x"}`, 400, "InvalidArgument", "The target repository 'x' does not exist", "")
	}
	b.store.fail = errDisk
	b.wantError("PATCH", path, `{"mailRepository":"var/other"}`, 500, "ServerError", "Error while moving mails", "disk full")
	b.wantError("PATCH", path+"/m1", `{"mailRepository":"var/other"}`, 500, "ServerError", "Error while moving mail", "disk full")
}
