package mailets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/delivery"
	"github.com/mailetd/mailetd/mailets/remote"
)

// Defaults of the mailets that hand a mail to somebody else.
const (
	defaultHandOverRetries = 5
	defaultHandOverDelays  = "1 minute, 5 minutes, 30 minutes, 2 hours, 6 hours"
)

// newPolicy reads consume, maxRetries, delayTime, onTemporary, onFailure and
// concurrency, for a class that calls itself c.Name. The rest of c is as given.
func newPolicy(s Services, p *conf.Params, c delivery.Config, slots int) *delivery.Policy {
	c.Log = s.Log
	c.Consume = p.Bool("consume", true)
	plan := handOverPlan(p)
	c.Retries, c.Delay = plan.Retries, plan.Delay
	c.OnTemporary = p.String("onTemporary", "")
	c.OnFailure = p.String("onFailure", container.StateError)
	if c.OnTemporary != "" && (p.Has("maxRetries") || p.Has("delayTime")) {
		p.Warn("onTemporary", "with <onTemporary> there are no retries, and maxRetries and delayTime have no effect")
	}
	if c.Slots = p.Int("concurrency", slots); c.Slots < 1 {
		p.Fail("concurrency", errors.New("want at least 1"))
	}
	for _, state := range []string{c.OnTemporary, c.OnFailure} {
		if state == container.StateGhost {
			p.Warn("", "mail of failed recipients is dropped without notice: %s is no processor", state)
		}
	}
	c.Count = outcomeCounter(s, c.Name)
	return delivery.New(c)
}

// fingerprint tells mailets apart, in the counter of attempts, by parameters that
// may be secret: two with one counter would begin each other's retries anew.
func fingerprint(words ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", words))
	return hex.EncodeToString(sum[:4])
}

// twin is appended to the name that a mailet has in the counter of attempts, in
// case others before it are the same in names, the parameters it is made of.
func twin(p *conf.Params, names ...string) string {
	if n := p.Twin(names...); n > 0 {
		return fmt.Sprintf(" #%d", n+1)
	}
	return ""
}

// handOverPlan is RemoteDelivery's plan with shorter delays by default.
func handOverPlan(p *conf.Params) remote.Plan {
	retries := p.Int("maxRetries", defaultHandOverRetries)
	if retries < 0 {
		p.Fail("maxRetries", fmt.Errorf("%d is less than 0", retries))
	}
	delays := given(p, "delayTime")
	if delays == nil {
		def := defaultHandOverDelays
		plan, _ := remote.NewPlan(nil, &def)
		plan.Retries = retries
		return plan
	}
	limit := strconv.Itoa(retries)
	plan, warnings := remote.NewPlan(&limit, delays)
	for _, w := range warnings {
		p.Warn("delayTime", "%s", w)
	}
	return plan
}

// outcomeCounter counts recipients by class and result.
func outcomeCounter(s Services, class string) func(container.Outcome) {
	counters := map[string]interface{ Inc() }{}
	for _, r := range []string{container.Delivered, container.Deferred, container.Failed} {
		counters[r] = s.Metrics.Counter("mailetd_"+strings.ToLower(class)+"_"+r+"_total", "recipients of "+class+" attempts: "+r)
	}
	return func(o container.Outcome) {
		if c, ok := counters[o.Result]; ok {
			c.Inc()
		}
	}
}

// timeLimit reads a time that must be there.
func timeLimit(p *conf.Params, name string, def time.Duration) time.Duration {
	d := p.Duration(name, time.Second, def)
	if d <= 0 {
		p.Fail(name, errors.New("there must be some time"))
	}
	return d
}

// readHeloName reads the name that we give to other servers.
func readHeloName(s Services, p *conf.Params) string {
	name := p.String("heloName", heloName(s))
	if strings.ContainsAny(name, " \t\r\n") {
		p.Fail("heloName", fmt.Errorf("%q is not a host name", name))
	}
	return name
}
