package container

import (
	"maps"
	"slices"
)

// removed explains class names that older versions of James had.
var removed = map[string]string{
	"SieveLocalDelivery":                "removed from James; use Sieve followed by LocalDelivery",
	"SieveToRecipientFolder":            "removed from James; use Sieve followed by LocalDelivery",
	"JDBCAlias":                         "removed from James; use RecipientRewriteTable",
	"JDBCRecipientRewriteTable":         "removed from James; use RecipientRewriteTable",
	"XMLRecipientRewriteTable":          "removed from James; use RecipientRewriteTable",
	"UsersRepositoryAliasingForwarding": "removed from James; use RecipientRewriteTable",
	"XMLVirtualUserTable":               "renamed in James 3; use RecipientRewriteTable",
	"JDBCVirtualUserTable":              "renamed in James 3; use RecipientRewriteTable",
	"VirtualUserTable":                  "renamed in James 3; use RecipientRewriteTable",
	"WhiteListManager":                  "removed from James; use the matcher IsInDropList",
	"AddHabeasWarrantMark":              "removed from James",
	"IsInWhiteList":                     "removed from James; use IsInDropList",
	"NetworkIsInWhitelist":              "removed from James; use IsInDropList",
	"MailboxQuotaFixed":                 "removed from James; use IsOverQuota",
	"SentByMailetAny":                   "never existed; use SentByMailet",
	"HasHeaderWithRegex":                "never existed; use HasHeader",
	"DLP":                               "its name is dlp.Dlp, in James too",
	"Dlp":                               "its name is dlp.Dlp, in James too",

	"org.apache.james.jmap.mailet.VacationMailet": "moved; its name is VacationMailet",
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func asSet(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, s := range list {
		set[s] = true
	}
	return set
}
