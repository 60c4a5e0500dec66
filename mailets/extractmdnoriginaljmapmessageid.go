package mailets

import (
	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// ExtractMDNOriginalJMAPMessageId loads and does nothing: it would note which
// JMAP message a disposition notification (MDN) is about, and there is no JMAP
// here.
//
//	<mailet match="All" class="org.apache.james.jmap.mailet.ExtractMDNOriginalJMAPMessageId"/>
//
// Parameters: any name; none has an effect.
//
// Differs from James: James adds the header field X-JAMES-MDN-JMAP-MESSAGE-ID. The
// short name ExtractMDNOriginalJMAPMessageId is known too.
type ExtractMDNOriginalJMAPMessageId struct{ inert }

func newExtractMDNOriginalJMAPMessageID(p *conf.Params) container.Mailet {
	p.All()
	return &ExtractMDNOriginalJMAPMessageId{}
}

// InertReason says why nothing happens.
func (*ExtractMDNOriginalJMAPMessageId) InertReason() string {
	return "it names messages of JMAP, which is not here; no header field is added"
}
