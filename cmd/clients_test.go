package cmd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestClients lets the clients that people use hand in mail to a server process:
// those that are installed. .ci/run installs them all.
func TestClients(t *testing.T) {
	s := startForClients(t)
	for _, c := range []struct {
		program string
		run     func(*testing.T, *clientServer)
	}{{"swaks", swaks}, {"curl", curl}, {"python3", smtplib}, {"postfix", postfix}} {
		if path, err := exec.LookPath(c.program); err != nil {
			t.Logf("%s is not installed", c.program)
		} else if c.program == "postfix" && os.Geteuid() != 0 {
			t.Logf("%s runs for root only", path)
		} else {
			t.Run(c.program, func(t *testing.T) { c.run(t, s) })
		}
	}
}

// clientServer is a mailetd with four ports and the users bob and alice, whose
// password is "secret".
type clientServer struct {
	dir                               string // with conf, data, cert.pem and key.pem
	submission, smtps, partners, lmtp string // ports: STARTTLS and AUTH; TLS and AUTH; TLS with client certificate; LMTP
	process                           *process
}

const clientsSMTP = `<smtpservers>
  <smtpserver>
    <jmxName>submission</jmxName><bind>127.0.0.1:0</bind>
    <helloName autodetect="false">mx.here.test</helloName>
    <tls startTLS="true">%[1]s</tls>
    <auth><announce>always</announce><required>true</required><requireSSL>true</requireSSL></auth>
    <verifyIdentity>strict</verifyIdentity>
    <maxmessagesize>10M</maxmessagesize>
    <handlerchain>%[2]s</handlerchain>
  </smtpserver>
  <smtpserver>
    <jmxName>smtps</jmxName><bind>127.0.0.1:0</bind>
    <tls socketTLS="true">%[1]s</tls>
    <auth><announce>always</announce><required>true</required></auth>
    <verifyIdentity>disabled</verifyIdentity>
    <handlerchain>%[2]s</handlerchain>
  </smtpserver>
  <smtpserver>
    <jmxName>partners</jmxName><bind>127.0.0.1:0</bind>
    <helloName autodetect="false">mx.here.test</helloName>
    <tls startTLS="true">%[1]s<clientAuth><truststore>file://%[3]s/cert.pem</truststore></clientAuth></tls>
    <verifyIdentity>disabled</verifyIdentity>
    <handlerchain>
      <handler class="org.apache.james.smtpserver.tls.EnforceMtaSts"/>
      %[2]s
    </handlerchain>
  </smtpserver>
</smtpservers>`

const clientsHandlers = `<handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler"/>`

func startForClients(t *testing.T) *clientServer {
	s := &clientServer{dir: t.TempDir()}
	writeClientCertificate(t, s.dir)
	tlsFiles := fmt.Sprintf("<privateKey>file://%[1]s/key.pem</privateKey><certificates>file://%[1]s/cert.pem</certificates>", s.dir)
	conf := filepath.Join(s.dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"smtpserver.xml":      fmt.Sprintf(clientsSMTP, tlsFiles, clientsHandlers, s.dir),
		"lmtpserver.xml":      `<lmtpservers><lmtpserver><bind>127.0.0.1:0</bind><handlerchain/></lmtpserver></lmtpservers>`,
		"domainlist.xml":      `<domainlist><defaultDomain>here.test</defaultDomain></domainlist>`,
		"usersrepository.xml": `<usersrepository><enableVirtualHosting>true</enableVirtualHosting><verifyFailureDelay>0</verifyFailureDelay></usersrepository>`,
		"webadmin.properties": "enabled=true\nhost=127.0.0.1\nport=0\npassword.generate=false\n",
	} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, addrs, err := startProcess(exec.Command("mailetd", "serve", "-conf", conf, "-data", filepath.Join(s.dir, "data")))
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.logText())
		}
	})
	for _, user := range []string{"bob", "alice"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+addrs["webadmin"]+"/users/"+user+"@here.test", strings.NewReader(`{"password":"secret"}`))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != http.StatusNoContent {
			t.Fatalf("user %s: %v, %+v", user, err, res)
		}
		res.Body.Close()
	}
	ports := regexp.MustCompile(`msg=listening part=smtp.* address=127\.0\.0\.1:(\d+)`).FindAllStringSubmatch(p.logText(), -1)
	if len(ports) != 3 {
		t.Fatalf("the server listens on %v", ports)
	}
	s.submission, s.smtps, s.partners = ports[0][1], ports[1][1], ports[2][1]
	_, s.lmtp, _ = strings.Cut(addrs["lmtp"], ":")
	return s
}

// writeClientCertificate makes key.pem and cert.pem, for mx.here.test and for
// clients, signed by itself.
func writeClientCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.here.test"}, DNSNames: []string{"mx.here.test", "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: der}, "cert.pem": {Type: "CERTIFICATE", Bytes: cert}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a client; fails tells that it must not succeed. It returns what the
// client printed.
func (s *clientServer) run(t *testing.T, fails bool, stdin, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin, cmd.Dir, cmd.WaitDelay = strings.NewReader(stdin), s.dir, time.Second
	out, err := cmd.CombinedOutput()
	if (err != nil) != fails {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// arrives waits for a mail to alice with this subject and returns it.
func (s *clientServer) arrives(t *testing.T, subject string) string {
	t.Helper()
	found := ""
	err := poll(func() error {
		names, err := filepath.Glob(filepath.Join(s.dir, "data/mail/here.test/alice/new/*"))
		for _, name := range names {
			if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), "\nSubject: "+subject+"\r\n") {
				found = string(text)
				return nil
			}
		}
		return fmt.Errorf("no mail %q among %d: %w", subject, len(names), err)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// with fails the test unless the mail has the text.
func with(t *testing.T, mail, text string) {
	t.Helper()
	if !strings.Contains(mail, text) {
		t.Errorf("no %q in\n%s", text, mail)
	}
}

func swaks(t *testing.T, s *clientServer) {
	send := func(fails bool, subject, port string, more ...string) string {
		args := []string{"--server", "127.0.0.1:" + port, "--from", "bob@here.test", "--to", "alice@here.test", "--h-From", "bob@here.test",
			"--h-Subject", subject, "--body", "hello\n.\n..dots\n", "--timeout", "20"}
		return s.run(t, fails, "", "swaks", append(args, more...)...)
	}
	auth := func(mech, password string) []string {
		return []string{"--auth", mech, "--auth-user", "bob@here.test", "--auth-password", password}
	}
	for _, mech := range []string{"PLAIN", "LOGIN"} {
		send(false, "swaks-"+mech, s.submission, append(auth(mech, "secret"), "-tls")...)
		m := s.arrives(t, "swaks-"+mech)
		with(t, m, "with ESMTPSA ID ")
		with(t, m, "\r\nhello\r\n.\r\n..dots\r\n")
	}
	with(t, send(true, "x", s.submission, append(auth("PLAIN", "wrong"), "-tls")...), "<~* 535 Authentication Failed")
	with(t, send(true, "x", s.submission, "-tls"), "<~* 530 5.7.1 Authentication Required")
	with(t, send(true, "x", s.submission), "<** 530 5.7.1 Authentication Required")
	send(false, "swaks-smtps", s.smtps, append(auth("LOGIN", "secret"), "--tls-on-connect", "--pipeline")...)
	s.arrives(t, "swaks-smtps")
	send(false, "swaks-lmtp", s.lmtp, "--protocol", "LMTP")
	with(t, s.arrives(t, "swaks-lmtp"), "with LMTP ID ")
	certificate := []string{"-tls", "--tls-cert", "cert.pem", "--tls-key", "key.pem"}
	send(false, "swaks-certificate", s.partners, certificate...)
	s.arrives(t, "swaks-certificate")
	with(t, send(true, "x", s.partners), "571 StartTLS required")
	send(true, "x", s.partners, "-tls")
}

func curl(t *testing.T, s *clientServer) {
	send := func(fails bool, subject, url string, more ...string) {
		mail := "From: bob@here.test\r\nSubject: " + subject + "\r\n\r\n" + strings.Repeat(".line\r\n", 30000)
		args := []string{"-sS", "--max-time", "20", "--cacert", "cert.pem", "--mail-from", "bob@here.test", "--mail-rcpt", "alice@here.test", "--upload-file", "-",
			"--connect-to", "mx.here.test::127.0.0.1:", url}
		s.run(t, fails, mail, "curl", append(args, more...)...)
	}
	user := []string{"--user", "bob@here.test:secret"}
	send(false, "curl-starttls", "smtp://mx.here.test:"+s.submission+"/client.test", append(user, "--ssl-reqd")...)
	with(t, s.arrives(t, "curl-starttls"), "(EHLO client.test) ")
	send(false, "curl-smtps", "smtps://mx.here.test:"+s.smtps, user...)
	if m := s.arrives(t, "curl-smtps"); strings.Count(m, "\r\n.line") != 30000 {
		t.Errorf("%d lines", strings.Count(m, "\r\n.line"))
	}
	send(true, "x", "smtps://mx.here.test:"+s.smtps, "--user", "bob@here.test:wrong")
	send(false, "curl-certificate", "smtp://mx.here.test:"+s.partners, "--ssl-reqd", "--cert", "cert.pem", "--key", "key.pem")
	s.arrives(t, "curl-certificate")
}

// smtplibScript is a client as they are written in Python. Arguments: the ports.
const smtplibScript = `
import smtplib, ssl, sys
from email.message import EmailMessage
from email.policy import SMTP
submission, smtps, lmtp = map(int, sys.argv[1:])
context = ssl.create_default_context(cafile="cert.pem")

def mail(subject, to="alice@here.test"):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "bob@here.test", to, subject
    m.set_content("Grüße\n.\n" + "x" * 2000 + "\n")
    return m

with smtplib.SMTP("localhost", submission, timeout=20) as s:
    s.starttls(context=context)
    s.ehlo()
    assert s.has_extn("8bitmime") and s.has_extn("smtputf8") and s.esmtp_features["size"] == "10485760", s.esmtp_features
    try:
        s.login("bob@here.test", "wrong")
        raise AssertionError("logged in with a wrong password")
    except smtplib.SMTPAuthenticationError as e:
        assert e.smtp_code == 535, e
    s.login("bob@here.test", "secret")
    s.send_message(mail("smtplib-one"))
    refused = s.sendmail("bob@here.test", ["alice@here.test", "nobody@here.test"], mail("smtplib-two").as_bytes(policy=SMTP))
    assert list(refused) == ["nobody@here.test"] and refused["nobody@here.test"][0] == 550, refused
    try:
        s.sendmail("alice@here.test", ["alice@here.test"], b"From: x\r\n\r\n")
        raise AssertionError("sent as somebody else")
    except smtplib.SMTPSenderRefused as e:
        assert e.smtp_code == 503, e
    s.send_message(mail("smtplib-three"), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert s.verify("bob")[0] == 502 and s.noop()[0] == 250 and s.rset()[0] == 250
with smtplib.SMTP_SSL("localhost", smtps, timeout=20, context=context) as s:
    s.login("bob@here.test", "secret")
    s.send_message(mail("smtplib-smtps"))
with smtplib.LMTP("localhost", lmtp, timeout=20) as s:
    s.sendmail("bob@here.test", ["alice@here.test"], mail("smtplib-lmtp").as_bytes(policy=SMTP))
`

func smtplib(t *testing.T, s *clientServer) {
	s.run(t, false, smtplibScript, "python3", "-", s.submission, s.smtps, s.lmtp)
	for _, subject := range []string{"smtplib-one", "smtplib-two", "smtplib-three", "smtplib-smtps"} {
		s.arrives(t, subject)
	}
}

// postfix is a Postfix of our own that hands all mail to us: over TLS, with a
// client certificate, and only to a server with the right one.
func postfix(t *testing.T, s *clientServer) {
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	etc := filepath.Join(dir, "etc")
	for _, d := range []string{"", "etc", "spool", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Postfix gives up the rights of root
		t.Fatal(err)
	}
	s.run(t, false, "", "chown", "postfix", filepath.Join(dir, "data"))
	for _, name := range []string{"cert.pem", "key.pem"} {
		s.run(t, false, "", "cp", name, etc)
	}
	daemons := strings.TrimSpace(s.run(t, false, "", "postconf", "-d", "-h", "daemon_directory"))
	for name, text := range map[string]string{"main.cf": fmt.Sprintf(postfixMain, dir, s.partners, daemons), "master.cf": postfixMaster} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	master := exec.Command("postfix", "-c", etc, "start-fg")
	var log strings.Builder
	master.Stdout, master.Stderr, master.WaitDelay = &log, &log, time.Second
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(dir, "spool/pid/master.pid")
	t.Cleanup(func() {
		// The daemon is a child of the command, in a session of its own.
		pid := 0
		if text, err := os.ReadFile(pidFile); err == nil {
			_, _ = fmt.Sscan(string(text), &pid)
		}
		if pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		} else {
			_ = master.Process.Kill()
		}
		_ = master.Wait()
		if mailLog, err := os.Open(filepath.Join(dir, "mail.log")); err == nil && t.Failed() {
			text, _ := io.ReadAll(mailLog)
			t.Logf("Postfix: %s%s", log.String(), text)
		}
	})
	if err := poll(func() error { _, err := os.Stat(pidFile); return err }); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		s.run(t, false, fmt.Sprintf("From: bob@far.test\nSubject: postfix-%d\n\nhello\n.dot\n", i), "sendmail", "-C", etc, "-i", "-f", "bob@far.test", "alice@here.test")
	}
	for i := range 5 {
		m := s.arrives(t, fmt.Sprintf("postfix-%d", i))
		with(t, m, "(EHLO client.far.test) ")
		with(t, m, "with ESMTPS ID ")
		with(t, m, "\r\nhello\r\n.dot\r\n")
	}
}

const postfixMain = `compatibility_level = 3.6
queue_directory = %[1]s/spool
data_directory = %[1]s/data
daemon_directory = %[3]s
mail_owner = postfix
setgid_group = postdrop
maillog_file = %[1]s/mail.log
maillog_file_prefixes = %[1]s
myhostname = client.far.test
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:%[2]s
smtp_dns_support_level = disabled
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = mx.here.test
smtp_tls_CAfile = %[1]s/etc/cert.pem
smtp_tls_cert_file = %[1]s/etc/cert.pem
smtp_tls_key_file = %[1]s/etc/key.pem
`

const postfixMaster = `pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
