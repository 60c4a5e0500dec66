package mailets

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// onFailure says what happens to a mail that a scanner could not look at.
type onFailure struct {
	pass bool
	log  *slog.Logger
}

// readOnFailure reads the parameter onFailure: continue or error.
func readOnFailure(p *conf.Params, log *slog.Logger, def string) onFailure {
	v := p.String("onFailure", def)
	if v != "continue" && v != "error" {
		p.Fail("onFailure", fmt.Errorf("want continue or error, not %q", v))
	}
	return onFailure{pass: v == "continue", log: log}
}

// result returns err, or nil after a line in the log when mail passes unscanned.
func (f onFailure) result(m *container.Mail, err error) error {
	if err == nil || !f.pass {
		return err
	}
	f.log.Error("mail passes unscanned", "mail", m.Name, "id", m.ID, "err", err)
	return nil
}

// maxSize is the parameter of that name: larger messages are not scanned. 0 is
// no limit.
type maxSize int64

func readMaxSize(p *conf.Params) maxSize { return maxSize(p.Size("maxSize", 0)) }

func (n maxSize) exceeded(m *container.Mail) bool { return n > 0 && m.Message.Size() > int64(n) }

// scannerFile reads a properties file of the configuration folder. Without such
// a file it is empty. Its problems are shown at the mailet.
func scannerFile(s Services, p *conf.Params, name string) (file *conf.Properties, done func()) {
	data, err := s.ReadFile("file://conf/" + name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.Fail("", fmt.Errorf("%s: %w", name, err))
	}
	var r conf.Report
	file = conf.ParseProperties(name, data, nil, &conf.Vars{}, &r)
	return file, func() {
		file.Close()
		for _, pr := range r.Problems() {
			if pr.Severity == conf.Error {
				p.Fail("", errors.New(pr.Pos.String()+": "+pr.Text))
			} else {
				p.Warn("", "%s: %s", pr.Pos, pr.Text)
			}
		}
	}
}

// readPort reads a TCP port.
func readPort(p *conf.Params, name string, def int) int {
	n := p.Int(name, def)
	if n < 1 || n > 65535 {
		p.Fail(name, fmt.Errorf("%d is no port", n))
	}
	return n
}

// readTimeout reads a duration above zero.
func readTimeout(p *conf.Params, name string, unit, def time.Duration) time.Duration {
	d := p.Duration(name, unit, def)
	if d <= 0 {
		p.Fail(name, errors.New("want more than 0"))
	}
	return d
}

// setRecipientHeader gives the copy of one recipient a header field, in the
// place of those of that name that it had.
func setRecipientHeader(m *container.Mail, rcpt container.Address, name, value string) {
	if list, ok := m.RecipientHeaders[rcpt.Key()]; ok {
		m.RecipientHeaders[rcpt.Key()] = slices.DeleteFunc(slices.Clone(list), func(f container.HeaderField) bool {
			return strings.EqualFold(f.Name, name)
		})
	}
	m.AddRecipientHeader(rcpt, name, mime.Clean(value))
}
