package matchers

import (
	"log/slog"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
)

// Services is what matchers need of the server.
type Services struct {
	Local *local.Directory
	DNS   dns.Resolver
	Log   *slog.Logger
}

const (
	james     = container.MatcherPackage
	composite = "org.apache.james.mailetcontainer.impl.matchers."
)

// Register adds every matcher of this package to r. One line each, sorted.
func Register(r *container.Registry, s Services) {
}
