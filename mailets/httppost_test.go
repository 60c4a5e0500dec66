package mailets

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// formServer answers with a status and keeps the last form.
func formServer(t *testing.T, status int) (address string, form *url.Values) {
	form = &url.Values{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s, %v, %v", r.Method, r.Header, err)
		}
		if *form, err = url.ParseQuery(string(body)); err != nil {
			t.Error(err)
		}
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, form
}

func TestHTTPParameters(t *testing.T) {
	const key = "<parameterKey>k</parameterKey>"
	for _, tc := range []struct{ class, params, want string }{
		{"HeadersToHTTP", key, "error: <url> is required"},
		{"HeadersToHTTP", key + "<url>ftp://x.test/</url>", "error: <url>: "},
		{"HeadersToHTTP", key + "<url>http:///path</url>", "error: <url>: "},
		{"HeadersToHTTP", key + "<url>http://x.test/%zz</url>", "error: <url>: "},
		{"HeadersToHTTP", "<url>http://x.test/</url>", "error: <parameterKey> is required"},
		{"HeadersToHTTP", key + "<url>http://x.test/</url><passThrough>no</passThrough>", "warning: <passThrough> is \"no\", not true or false; using false"},
		{"SerialiseToHTTP", "<url>x.test</url>", "error: <url>: "},
		{"SerialiseToHTTP", "<url>http://x.test/</url><timeout>0</timeout>", "error: <timeout>: there must be"},
		{"SerialiseToHTTP", "<url>http://x.test/</url><timeout>long</timeout>", "error: <timeout>: "},
		{"SerialiseToHTTP", "<url>http://x.test/</url><messageKeyName>m</messageKeyName>", "warning: <messageKeyName> is not a parameter"},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestHeadersToHTTP(t *testing.T) {
	for _, tc := range []struct {
		status        int
		pass          string
		state, result string
	}{
		{200, "true", "root", "Succeeded"},
		{204, "false", "ghost", ""},
		{500, "true", "root", "Failed"},
		{500, "false", "root", "Failed"},
		{302, "false", "root", "Failed"},
	} {
		address, form := formServer(t, tc.status)
		ma := mustLoad(t, testRegistry(t), "HeadersToHTTP", "<url>"+address+"/x?a=1</url><parameterKey>k &amp;</parameterKey><parameterValue>ü</parameterValue><passThrough>"+tc.pass+"</passThrough>")
		m := redirectMail()
		serve(t, ma, m)
		if got := form.Encode(); got != "from=Ann+%3Cann%40example.org%3E&k+%26=%C3%BC&message_id=%3Corig-1%40example.org%3E&reply_to=reply%40example.org&size=306&subject=Quarterly+report" {
			t.Errorf("posted %s", got)
		}
		result, _ := mime.Get(m.Message.Header(), "X-headerToHTTP")
		why, _ := mime.Get(m.Message.Header(), "X-headerToHTTPFailure")
		if m.State != tc.state || result != tc.result || (why != "") != (result == "Failed") {
			t.Errorf("%d, %s: state %s, result %q, %q", tc.status, tc.pass, m.State, result, why)
		}
	}
}

func TestSerialiseToHTTP(t *testing.T) {
	for _, size := range []int{0, 100, 3 << 20} {
		address, form := formServer(t, 200)
		ma := mustLoad(t, testRegistry(t), "SerialiseToHTTP", "<url>"+address+"</url><MessageKeyName>the mail</MessageKeyName><parameterKey>k</parameterKey><parameterValue>v+</parameterValue>")
		m := redirectMail()
		body := strings.Repeat("\xff\x00 &=%\r\n", size/8)
		m.Message = container.NewMessage([]byte(redirectHeader+"X-toHTTP: Failed\r\nX-toHTTPFailure: old\r\n"), container.BytesBody(body))
		want := text(t, m)
		serve(t, ma, m)
		if got := form.Get("the mail"); got != want || form.Get("k") != "v+" || len(*form) != 2 {
			t.Errorf("size %d: posted %d octets, want %d", size, len(got), len(want))
		}
		if got, _ := mime.Get(m.Message.Header(), "X-toHTTP"); got != "Succeeded" || mime.Has(m.Message.Header(), "X-toHTTPFailure") || m.State != "root" {
			t.Errorf("size %d: %q, state %s", size, got, m.State)
		}
	}
	for _, tc := range []struct {
		status int
		pass   string
		fails  bool
		state  string
	}{{200, "false", false, "ghost"}, {201, "false", false, "ghost"}, {404, "true", false, "root"}, {404, "false", true, "root"}} {
		address, _ := formServer(t, tc.status)
		ma := mustLoad(t, testRegistry(t), "SerialiseToHTTP", "<url>"+address+"</url><passThrough>"+tc.pass+"</passThrough>")
		m := redirectMail()
		err := ma.Service(t.Context(), m, &container.Outbox{})
		if (err != nil) != tc.fails || m.State != tc.state {
			t.Errorf("%d, %s: %v, state %s", tc.status, tc.pass, err, m.State)
		}
	}
}

// A server that is not there, and one that takes the request and says nothing.
func TestHTTPUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := l.Addr().String()
	defer l.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := gone.Addr().String()
	gone.Close()
	for address, want := range map[string]string{silent: "the server did not answer in time", closed: "the server cannot be reached"} {
		m := redirectMail()
		serve(t, mustLoad(t, testRegistry(t), "SerialiseToHTTP", "<url>http://user:secret@"+address+"/</url><timeout>50ms</timeout>"), m)
		why, _ := mime.Get(m.Message.Header(), "X-toHTTPFailure")
		if got, _ := mime.Get(m.Message.Header(), "X-toHTTP"); got != "Failed" || why != want || m.State != "root" {
			t.Errorf("%q, %q, state %s; want %q", got, why, m.State, want)
		}
	}
}

// unsafeBody is a body whose readers must not be used by two goroutines at once,
// as those of bodies that are made of others.
type unsafeBody struct{ container.BytesBody }

type unsafeReader struct {
	io.Reader
	uses *int
}

func (b unsafeBody) Open() (io.ReadCloser, error) {
	r, err := b.BytesBody.Open()
	return unsafeReader{r, new(int)}, err
}

func (r unsafeReader) Read(p []byte) (int, error) {
	*r.uses++
	return r.Reader.Read(p)
}

func (r unsafeReader) Close() error {
	*r.uses++
	return nil
}

// A server that does not want to read the whole message: net/http goes on with
// the body while the mail goes on too. The race detector looks at this.
func TestSerialiseToHTTPCutOff(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	defer s.Close()
	ma := mustLoad(t, testRegistry(t), "SerialiseToHTTP", "<url>"+s.URL+"</url>")
	for range 20 {
		m := testMail("bob@example.com")
		m.Message = container.NewMessage([]byte("A: b\r\n"), unsafeBody{container.BytesBody(strings.Repeat("x", 8<<20))})
		serve(t, ma, m)
	}
}
