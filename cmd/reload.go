package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks"
	"github.com/mailetd/mailetd/smtphooks/server"
)

// reloadServers reads smtpserver.xml, lmtpserver.xml and classes.properties again
// and puts the SMTP and LMTP servers that they describe in the place of the present
// ones; see server.Server.Reload. The error has every problem on a line of its own,
// and then nothing has changed. All else in the configuration, mailets as well as
// webadmin, is read at start only.
func (s *site) reloadServers(ctx context.Context, l *live) error {
	l.reloading.Lock()
	defer l.reloading.Unlock()
	r := &conf.Report{}
	dir := conf.Open(s.flags.conf, conf.Options{Data: s.flags.data, Sys: s.flags.props}, r)
	servers := append(conf.SMTPServers(dir.XML("smtpserver.xml"), r), conf.LMTPServers(dir.XML("lmtpserver.xml"), r)...)
	handlers := handlersOf(dir.Classes())
	if r.HasErrors() {
		return s.refuseReload(r, server.ErrConfiguration)
	}
	if err := l.smtp.Reload(ctx, servers, handlers, r); err != nil {
		return s.refuseReload(r, err)
	}
	for _, p := range r.Problems() {
		s.log.Warn(p.String())
	}
	l.addrs.Store(l.smtp.Addrs())
	for _, k := range l.smtp.Listeners() {
		s.log.Info("listening", "part", strings.ToLower(k.Protocol), "address", k.Addr.String())
	}
	s.log.Info("servers and certificates reloaded")
	return nil
}

// refuseReload logs why the servers stay as they are, and returns it.
func (s *site) refuseReload(r *conf.Report, err error) error {
	var lines []string
	for _, p := range r.Problems() {
		s.log.Error("servers not reloaded", "problem", p.String())
		lines = append(lines, p.String())
	}
	if !errors.Is(err, server.ErrConfiguration) {
		s.log.Error("servers not reloaded", "err", err)
	}
	return fmt.Errorf("%w\n%s", err, strings.Join(lines, "\n"))
}

// handlersOf returns the handler classes, with the names that classes.properties
// adds.
func handlersOf(classes []conf.ClassMapping) *smtphooks.Registry {
	handlers := smtphooks.NewRegistry()
	for _, c := range classes {
		handlers.Map(c.From, c.To)
	}
	return handlers
}

// reloadOnHangup returns a part that reloads the servers at each SIGHUP. When their
// configuration has errors, the certificates of the old one are read again
// nevertheless: a renewed one must not wait for somebody to mend a file.
func (s *site) reloadOnHangup(l *live) func(context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // from now on, before the server says that it is ready
	return func(ctx context.Context) error {
		defer signal.Stop(hangup)
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hangup:
			}
			if s.reloadServers(ctx, l) == nil {
				continue
			}
			if err := l.smtp.ReloadCertificates(); err != nil {
				s.log.Error("certificates not reloaded", "err", err)
				continue
			}
			s.log.Info("certificates reloaded")
		}
	}
}
