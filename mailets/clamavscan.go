package mailets

import (
	"context"
	"log/slog"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/container/scan"
)

// ClamAVScan lets a ClamAV daemon look for viruses in the message. The
// attribute org.apache.james.infected and the header field
// X-MessageIsInfected become true or false; the mail goes on in any case, to a
// matcher that looks at them. A mail that has the attribute already is not
// scanned again.
//
//	<mailet match="All" class="ClamAVScan">
//	  <host>clamav.example.com</host>
//	  <port>3310</port>
//	  <socketTimeout>60000</socketTimeout>
//	  <onFailure>error</onFailure>
//	</mailet>
//	<mailet match="HasMailAttributeWithValue=org.apache.james.infected, true" class="ToProcessor">
//	  <processor>virus</processor>
//	</mailet>
//
// The daemon must listen on TCP (TCPSocket in clamd.conf) and its
// StreamMaxLength must be at least the size of the largest message.
//
// Parameters:
//
//   - host (default this machine): name or address of the daemon. The addresses
//     of a name take turns; one that does not answer is passed over.
//   - port (default 3310): its TCP port.
//   - maxPings (default 2): how often it is tried at start whether the daemon is
//     there; 0 is not at all. Only the log tells the result.
//   - pingIntervalMilli (default 10000): time between these attempts; a number
//     alone counts milliseconds.
//   - streamBufferSize (default 8192): octets sent at a time.
//   - socketTimeout (default 30000): how long to connect, or to wait for the
//     daemon at any point; a number alone counts milliseconds.
//   - maxSize (default 0, no limit): larger messages are not scanned and get
//     neither attribute nor header field.
//   - onFailure (default continue): what happens to a mail when the daemon
//     cannot be asked, or gives no result: continue lets it pass unscanned, with
//     an error in the log; error hands it to onMailetException.
//   - debug: accepted and of no effect.
//
// Differs from James: an answer that is neither FOUND nor OK is a failure, not a clean
// message; socketTimeout can be set, and is 30 seconds instead of 5; a field
// X-MessageIsInfected that came with the message is removed, whatever comes of
// the scan; onFailure and maxSize are new.
type ClamAVScan struct {
	clamd   *scan.Clamd
	failure onFailure
	max     maxSize
	pings   int
	pause   time.Duration
	log     *slog.Logger
}

const (
	attrInfected   = "org.apache.james.infected"
	headerInfected = "X-MessageIsInfected"
)

// maxBuffer bounds streamBufferSize.
const maxBuffer = 1 << 20

func newClamAVScan(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		p.Strict()
		c := &ClamAVScan{clamd: &scan.Clamd{}, log: s.Log}
		c.clamd.Host, c.clamd.Port = p.String("host", ""), readPort(p, "port", 3310)
		c.clamd.Step = readTimeout(p, "socketTimeout", time.Millisecond, 30*time.Second)
		c.clamd.Buffer = p.Int("streamBufferSize", 8192)
		if c.clamd.Buffer < 1 || c.clamd.Buffer > maxBuffer {
			p.Warn("streamBufferSize", "<streamBufferSize> is %d, not 1 to %d; using 8192", c.clamd.Buffer, maxBuffer)
			c.clamd.Buffer = 8192
		}
		c.pings = p.Int("maxPings", 2)
		c.pause = p.Duration("pingIntervalMilli", time.Millisecond, 10*time.Second)
		c.failure = readOnFailure(p, s.Log, "continue")
		c.max = readMaxSize(p)
		p.Bool("debug", false)
		return c
	}
}

// Run looks at start whether the daemon is there, and tells the log.
func (c *ClamAVScan) Run(ctx context.Context) error {
	for i := range c.pings {
		err := c.clamd.Ping(ctx)
		if err == nil {
			c.log.Info("clamd is there", "addr", c.clamd.Addr())
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		c.log.Warn("clamd does not answer", "addr", c.clamd.Addr(), "attempt", i+1, "err", err)
		if i+1 < c.pings {
			wait(ctx, c.pause)
		}
	}
	<-ctx.Done()
	return nil
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Service scans the message.
func (c *ClamAVScan) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if _, ok := m.Attributes[attrInfected]; ok {
		return nil
	}
	if h := m.Message.Header(); mime.Has(h, headerInfected) {
		m.Message.SetHeader(mime.Remove(h, headerInfected))
	}
	if c.max.exceeded(m) {
		return nil
	}
	found, err := c.clamd.Scan(ctx, &m.Message)
	if err != nil {
		return c.failure.result(m, err)
	}
	value := "false"
	if found != "" {
		value = "true"
		c.log.Info("infected", "mail", m.Name, "id", m.ID, "virus", found)
	}
	m.Set(attrInfected, found != "")
	m.Message.SetHeader(mime.Add(m.Message.Header(), headerInfected, value))
	return nil
}
