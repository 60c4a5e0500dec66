package mailets

import (
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/repository"
)

// Services is what mailets need of the server. While a configuration is only
// checked, Queues and Local are there but nothing calls them.
type Services struct {
	Hostname      string // our name: EHLO, Reporting-MTA
	DefaultDomain string
	Postmaster    container.Address
	MailDir       string // folder of the Maildirs
	Local         *local.Directory
	DNS           dns.Resolver
	Queues        repository.Queues
	Metrics       *metrics.Set
	Log           *slog.Logger
	// UseRepository notes that a mailet stores into a repository, which the
	// server then creates before it starts. It refuses bad URLs.
	UseRepository func(url string) error
}

const james = container.MailetPackage

// Register adds every mailet of this package to r. One line each, sorted.
func Register(r *container.Registry, s Services) {
}
