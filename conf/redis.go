package conf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Topologies of Redis.
const (
	RedisStandalone    = "standalone"
	RedisCluster       = "cluster"
	RedisMasterReplica = "master-replica" // one of the addresses is the master
	RedisSentinel      = "sentinel"       // the addresses are those of sentinels
)

// Redis is redis.properties: the server that counts for several machines.
type Redis struct {
	Topology           string
	Addrs              []string // host:port, or the absolute path of a socket
	Username, Password string
	DB                 int
	Master             string // the name that sentinels know the master by
	SentinelPassword   string
	Timeout            time.Duration // of a command; 0: not given
	TLS                *tls.Config   // nil: in the clear
}

// Redis reads redis.properties; nil when there is no such file, or a mistake in
// it.
//
// Source: RedisConfiguration; redisURL has the forms of Lettuce's RedisURI.
func (d *Dir) Redis() *Redis {
	p := d.Properties("redis.properties")
	if !p.Exists {
		return nil
	}
	defer p.Close()
	r := &Redis{Topology: p.String("redis.topology", RedisStandalone), SentinelPassword: p.String("redis.sentinelPassword", "")}
	for _, key := range []string{"redisURL", "redis.ssl.enabled", "redis.ignoreCertificateCheck", "redis.keystore.file.path", "redis.keystore.password",
		"redis.readFrom", "redis.ioThreads", "redis.workerThreads"} { // the last three: all that counters do is to write, and Go has no such threads
		p.Raw(key) // known, whatever is wrong below
	}
	if !slices.Contains([]string{RedisStandalone, RedisCluster, RedisMasterReplica, RedisSentinel}, r.Topology) {
		p.Fail("redis.topology", fmt.Errorf("%q is not standalone, cluster, master-replica or sentinel", r.Topology))
		return nil
	}
	text := p.Raw("redisURL")
	if text == "" {
		p.Fail("redisURL", errors.New("redisURL is required, such as redis://localhost:6379; without Redis remove the file"))
		return nil
	}
	verify, err := r.readURLs(text)
	if err != nil {
		p.Fail("redisURL", err)
		return nil
	}
	if r.TLS == nil {
		if p.Bool("redis.ssl.enabled", false) {
			p.Fail("redis.ssl.enabled", errors.New("with TLS redisURL has to begin with rediss://"))
			return nil
		}
	} else if err := d.redisTLS(p, r, verify); err != nil {
		p.Fail("redis.keystore.file.path", err)
		return nil
	}
	return r
}

// readURLs reads one URL, or several separated by commas, which are to agree in
// all but the address.
func (r *Redis) readURLs(text string) (verify string, err error) {
	verify = "FULL"
	list := []string{text}
	if strings.Contains(text, ",redis") {
		list = strings.Split(text, ",")
	}
	for _, one := range list {
		if err := r.readURL(strings.TrimSpace(one), &verify); err != nil {
			return "", err
		}
	}
	if r.Topology == RedisSentinel && r.Master == "" {
		return "", errors.New("want redis-sentinel://HOST:PORT,HOST:PORT#MASTER for the topology sentinel")
	}
	if r.Topology == RedisStandalone && len(r.Addrs) > 1 {
		return "", fmt.Errorf("%d addresses, but redis.topology is standalone", len(r.Addrs))
	}
	if r.Topology == RedisCluster && r.DB != 0 {
		return "", errors.New("a cluster has no databases: remove the number behind the address")
	}
	return verify, nil
}

// readURL reads scheme://[[user:]password@]host[:port][,host[:port]][/db][?…][#master].
func (r *Redis) readURL(text string, verify *string) error {
	scheme, rest, found := strings.Cut(text, "://")
	port := "6379"
	switch scheme {
	case "redis", "redis-socket":
	case "rediss":
		r.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	case "rediss-sentinel":
		r.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		r.Topology, port = RedisSentinel, "26379"
	case "redis-sentinel":
		r.Topology, port = RedisSentinel, "26379"
	default:
		found = false
	}
	if !found {
		return errors.New("want redis://, rediss://, redis-sentinel:// or redis-socket:// and an address")
	}
	rest, master, named := strings.Cut(rest, "#")
	if named {
		r.Master = master // one of several URLs may have it
	}
	rest, query, _ := strings.Cut(rest, "?")
	if err := r.readOptions(query, verify); err != nil {
		return err
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		if err := r.readLogin(rest[:i]); err != nil {
			return err
		}
		rest = rest[i+1:]
	}
	if scheme == "redis-socket" {
		if !strings.HasPrefix(rest, "/") {
			return errors.New("want redis-socket:///PATH")
		}
		r.Addrs = append(r.Addrs, rest)
		return nil
	}
	hosts, db, _ := strings.Cut(rest, "/")
	if db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not the number of a database", db)
		}
		r.DB = n
	}
	for _, host := range strings.Split(hosts, ",") {
		addr, err := withPort(host, port)
		if err != nil {
			return err
		}
		r.Addrs = append(r.Addrs, addr)
	}
	return nil
}

// readLogin reads user:password or, as Lettuce has it, the password alone.
func (r *Redis) readLogin(text string) error {
	user, password, both := strings.Cut(text, ":")
	if !both {
		user, password = "", text
	}
	var err, err2 error
	r.Username, err = url.PathUnescape(user)
	r.Password, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil {
		return errors.New("user or password have a % that is not followed by two hexadecimal digits")
	}
	return nil
}

// readOptions reads what stands behind the question mark.
func (r *Redis) readOptions(query string, verify *string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("options %q are not NAME=VALUE", query)
	}
	for name := range values {
		v := values.Get(name)
		switch strings.ToLower(name) {
		case "timeout":
			if r.Timeout, err = ParseDuration(v, time.Millisecond); err != nil || r.Timeout <= 0 {
				return fmt.Errorf("timeout=%s is not a duration", v)
			}
		case "database":
			if r.DB, err = strconv.Atoi(v); err != nil || r.DB < 0 {
				return fmt.Errorf("database=%s is not a number", v)
			}
		case "sentinelmasterid":
			r.Master = v
		case "verifypeer":
			*verify = strings.ToUpper(v)
			switch *verify {
			case "TRUE":
				*verify = "FULL"
			case "FALSE":
				*verify = "NONE"
			case "FULL", "CA", "NONE":
			default:
				return fmt.Errorf("verifyPeer=%s is not FULL, CA or NONE", v)
			}
		case "clientname", "libraryname", "libraryversion":
		default:
			return fmt.Errorf("the option %s is not known", name)
		}
	}
	return nil
}

// withPort completes an address.
func withPort(host, port string) (string, error) {
	if h, p, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 || h == "" {
			return "", fmt.Errorf("%q is not HOST:PORT", host)
		}
		return host, nil
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, "[] \t") {
		return "", fmt.Errorf("%q is not HOST:PORT", host)
	}
	return net.JoinHostPort(host, port), nil
}

// redisTLS completes the TLS configuration: whom to believe, and who we are.
func (d *Dir) redisTLS(p *Properties, r *Redis, verify string) error {
	ignore := p.Bool("redis.ignoreCertificateCheck", false)
	if ref := p.String("redis.keystore.file.path", ""); ref != "" && !ignore {
		data, err := d.ReadFile(ref)
		if err != nil {
			return err
		}
		secret := p.String("redis.keystore.password", "")
		pairs, keyErr := ParseKeystore(data, secret)
		trusted, trustErr := ParseTruststore(data, secret)
		if keyErr != nil && trustErr != nil {
			return trustErr
		}
		r.TLS.Certificates = pairs
		if trustErr == nil {
			r.TLS.RootCAs = x509.NewCertPool()
			for _, c := range trusted {
				r.TLS.RootCAs.AddCert(c)
			}
		}
	}
	switch {
	case ignore || verify == "NONE":
		p.Warn("redisURL", "the certificate of Redis is not checked: whoever is on the way can read and change what is counted")
		r.TLS.InsecureSkipVerify = true
	case verify == "CA":
		r.TLS.InsecureSkipVerify = true // the name is not compared, the chain is
		r.TLS.VerifyConnection = verifyChain(r.TLS.RootCAs)
	}
	return nil
}

// verifyChain checks a certificate against roots, nil for those of the system,
// whatever name it has.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		if _, err := s.PeerCertificates[0].Verify(o); err != nil {
			return fmt.Errorf("certificate of the server: %w", err)
		}
		return nil
	}
}
