package mailets

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/metrics"
)

// MetricsMailet counts mails, one for each that passes however many recipients
// it has. The counter is mailetd_mailet_NAME_total in the metrics of the server.
//
//	<mailet match="All" class="MetricsMailet">
//	  <metricName>relayDenied</metricName>
//	</mailet>
//
// Parameters:
//
//   - metricName (required): NAME. Characters other than letters, digits, _ and
//     : become _; mailets whose names are then the same share one counter.
//
// Differs from James: the name of the counter has a prefix and a suffix.
type MetricsMailet struct{ counter prometheus.Counter }

func newMetricsMailet(set *metrics.Set) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		name, ok := p.Lookup("metricName")
		switch {
		case !ok:
			p.Required("metricName")
			return &MetricsMailet{}
		case name == "":
			p.Warn("metricName", "<metricName> is empty: the counter will be called mailetd_mailet__total")
		}
		return &MetricsMailet{set.Counter("mailetd_mailet_"+name+"_total", "Mails that passed a MetricsMailet.")}
	}
}

// Service counts the mail.
func (c *MetricsMailet) Service(context.Context, *container.Mail, *container.Outbox) error {
	c.counter.Inc()
	return nil
}
