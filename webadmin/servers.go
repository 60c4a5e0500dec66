package webadmin

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Certificates are the TLS listeners of the other servers.
type Certificates interface {
	// ReloadCertificates reads the key material again, of the server on port or,
	// with port 0, of all. It returns how many servers there were.
	ReloadCertificates(ctx context.Context, port int) (servers int, err error)
}

// Connection is one open connection to a mail server.
type Connection struct {
	Protocol      string // "SMTP", "LMTP"
	Endpoint      string // name of the server in the configuration
	RemoteAddress string // host:port
	Since         time.Time
	Encrypted     bool
	Username      string            // "" before authentication
	Details       map[string]string // of the protocol
}

// Connections are the open connections to mail servers.
type Connections interface {
	Connections() []Connection
	// Disconnect closes the connections for which drop says so.
	Disconnect(drop func(Connection) bool)
}

func (s *Server) serverRoutes(rt *router) {
	if s.deps.Certificates != nil {
		rt.handle(http.MethodPost, "/servers", s.reloadCertificates)
	}
	if s.deps.Connections == nil {
		return
	}
	rt.handle(http.MethodGet, "/servers/channels", s.getChannels)
	rt.handle(http.MethodGet, "/servers/channels/{user}", s.getChannels)
	rt.handle(http.MethodGet, "/servers/connectedUsers", s.getConnectedUsers)
	rt.handle(http.MethodDelete, "/servers/channels", s.disconnect)
	rt.handle(http.MethodDelete, "/servers/channels/{user}", s.disconnect)
}

func (s *Server) reloadCertificates(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if q.Has("reload") && s.deps.ReloadServers != nil {
		return s.reloadServers(w, r)
	}
	if !q.Has("reload-certificate") {
		return illegalArgument("'reload-certificate' query parameter shall be specified")
	}
	port := 0
	if q.Has("port") {
		n, err := strconv.Atoi(q.Get("port"))
		if err != nil || n < 1 || n > 65535 {
			return illegalArgument("'port' is %q: want a number from 1 to 65535", q.Get("port"))
		}
		port = n
	}
	n, err := s.deps.Certificates.ReloadCertificates(r.Context(), port)
	if err != nil {
		return err
	}
	if n == 0 {
		return apiErrorf(http.StatusBadRequest, typeNotFound, "No servers configured, nothing to reload")
	}
	return noContent(w)
}

// reloadServers lets the servers have their configuration as it is in the files
// now. James has no such thing.
func (s *Server) reloadServers(w http.ResponseWriter, r *http.Request) error {
	if err := s.deps.ReloadServers(r.Context()); err != nil {
		return badRequest("The servers stay as they were").because(err)
	}
	return noContent(w)
}

type channelView struct {
	Protocol  string            `json:"protocol"`
	Endpoint  string            `json:"endpoint"`
	Remote    string            `json:"remoteAddress"`
	Since     *string           `json:"connectionDate"`
	Active    bool              `json:"isActive"`
	Open      bool              `json:"isOpen"`
	Writable  bool              `json:"isWritable"`
	Encrypted bool              `json:"isEncrypted"`
	Username  *string           `json:"username"`
	Details   map[string]string `json:"protocolSpecificInformation"`
}

func viewChannel(c Connection) channelView {
	v := channelView{c.Protocol, c.Endpoint, c.RemoteAddress, instant(c.Since), true, true, true, c.Encrypted, optional(c.Username), c.Details}
	if v.Details == nil {
		v.Details = map[string]string{}
	}
	return v
}

// key returns the value that a listing is sorted by.
func (v channelView) key(name string) string {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	switch name {
	case "protocol":
		return v.Protocol
	case "endpoint":
		return v.Endpoint
	case "remoteAddress":
		return v.Remote
	case "connectionDate":
		return text(v.Since)
	case "isEncrypted":
		return strconv.FormatBool(v.Encrypted)
	case "username":
		return text(v.Username)
	default:
		return v.Details[name]
	}
}

// getChannels lists the connections, with a user in the path only those of the
// user.
func (s *Server) getChannels(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, offset, err := page(q)
	if err != nil {
		return err
	}
	user := param(r, "user")
	views := []channelView{}
	for _, c := range s.deps.Connections.Connections() {
		if user == "" || strings.EqualFold(c.Username, user) {
			views = append(views, viewChannel(c))
		}
	}
	if err := sortChannels(views, q); err != nil {
		return err
	}
	return ok(w, inPages(views, limit, offset))
}

// sortChannels sorts as sortBy, sortDirection and sortType ask for.
func sortChannels(views []channelView, q url.Values) error {
	by, sign := q.Get("sortBy"), 1
	switch d := q.Get("sortDirection"); strings.ToLower(d) {
	case "", "asc":
	case "desc":
		sign = -1
	default:
		return illegalArgument("Invalid 'sortDirection' query parameter: %s", d)
	}
	compare := strings.Compare
	switch t := q.Get("sortType"); strings.ToLower(t) {
	case "", "alphabetical":
	case "numerical":
		compare = func(a, b string) int {
			x, _ := strconv.ParseFloat(a, 64)
			y, _ := strconv.ParseFloat(b, 64)
			return cmp.Compare(x, y)
		}
	default:
		return illegalArgument("Invalid 'sortType' query parameter: %s", t)
	}
	if by != "" {
		slices.SortStableFunc(views, func(a, b channelView) int { return sign * compare(a.key(by), b.key(by)) })
	}
	return nil
}

func (s *Server) getConnectedUsers(w http.ResponseWriter, _ *http.Request) error {
	users := []string{}
	for _, c := range s.deps.Connections.Connections() {
		if c.Username != "" {
			users = append(users, c.Username)
		}
	}
	slices.Sort(users)
	return ok(w, slices.Compact(users))
}

// disconnect closes connections: those of the user in the path, of the users in
// the body, or all.
func (s *Server) disconnect(w http.ResponseWriter, r *http.Request) error {
	var users []string
	if user := param(r, "user"); user != "" {
		users = []string{user}
	} else if r.ContentLength != 0 {
		if err := readJSON(w, r, maxBody, &users); err != nil {
			return invalidJSON(err)
		}
	}
	s.deps.Connections.Disconnect(func(c Connection) bool {
		return users == nil || slices.ContainsFunc(users, func(u string) bool { return c.Username != "" && strings.EqualFold(u, c.Username) })
	})
	return noContent(w)
}
