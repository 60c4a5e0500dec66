package mailets

import (
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// usual are the mailets that nearly every configuration has, and those beside
// them that read or change whole messages.
var usual = []struct{ class, params string }{
	{"ToProcessor", "<processor>transport</processor>"},
	{"PostmasterAlias", ""},
	{"RecipientRewriteTable", ""},
	{"SetMimeHeader", "<name>X-A</name><value>b</value>"},
	{"RemoveMimeHeader", "<name>bcc</name>"},
	{"AddDeliveredToHeader", ""},
	{"MetricsMailet", "<metricName>m</metricName>"},
	{"ToRepository", "<repositoryPath>file://var/mail/a/</repositoryPath>"},
	{"RemoteDelivery", "<outgoing>outgoing</outgoing>"},
	{"LocalDelivery", ""},
	{"Bounce", ""},
	{"DSNBounce", ""},
	{"AddFooter", "<text>footer</text>"},
	{"StripAttachment", `<pattern>.*\.pdf</pattern><remove>matched</remove>`},
	{"ConvertTo7Bit", ""},
	{"DKIMSign", "<signatureTemplate>v=1; s=mail; d=example.com; h=from:subject; c=relaxed/relaxed; a=ed25519-sha256; bh=; b=;</signatureTemplate><privateKey>" + benchKey + "</privateKey>"},
	{"UnwrapText", ""},
	{"WrapText", ""},
	{"OnlyText", ""},
	{"ReplaceContent", "<bodyPattern>/nothing/else//</bodyPattern>"},
	{"ToPlainText", ""},
	{"ClassifyBounce", "<headerName>X-B</headerName>"},
	{"LogMessage", "<body>false</body>"},
}

const benchKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----`

// BenchmarkMailets shows what each costs for one mail, without the store, with a
// body in memory.
func BenchmarkMailets(b *testing.B) {
	s := testServices(b)
	s.DNS = struct{ dns.Resolver }{}
	reg := container.NewRegistry()
	Register(reg, s)
	for _, tc := range usual {
		for _, size := range []struct {
			name string
			n    int
		}{{"10kB", 10 << 10}, {"10MB", 10 << 20}} {
			b.Run(tc.class+"/"+size.name, func(b *testing.B) {
				ma := mustLoad(b, reg, tc.class, tc.params)
				before := editMail(largeMessage(size.n))
				before.Recipients = []container.Address{container.MustAddress("bob@example.com"), container.MustAddress("alice@example.com")}
				b.ReportAllocs()
				for b.Loop() {
					m := before.Clone()
					if err := ma.Service(b.Context(), m, &container.Outbox{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
