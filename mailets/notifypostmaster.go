package mailets

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// NotifyPostmaster tells the postmaster of this server (<postmaster> in
// <context>) in words, with the mail attached, that something happened to it.
//
//	<mailet match="All" class="NotifyPostmaster">
//	  <sender>postmaster</sender>
//	  <prefix>[relay denied]</prefix>
//	  <notice>Somebody tried to relay this mail.</notice>
//	  <inline>heads</inline>
//	  <attachment>none</attachment>
//	  <to>postmaster</to>
//	  <passThrough>true</passThrough>
//	</mailet>
//
// Parameters:
//
//   - to (default postmaster): what stands in To: postmaster, or unaltered (the To
//     field of the mail). The notice goes to the postmaster.
//   - sender, sendingAddress, prefix, message, notice, inline, attachment,
//     attachError, passThrough, fakeDomainCheck, debug: as in Bounce.
//
// A notice that this class has sent and that comes by again, because it could
// not be delivered, gives no further one; nor does the fourth in a row of notices
// about notices of other servers (field X-Mailetd-Notices), so that two servers
// whose postmasters cannot be reached come to an end. The notice has the null
// reverse-path.
//
// Differs from James: the reverse-path is null and Auto-Submitted is
// auto-generated; there is no notice about a notice; otherwise as Bounce.
type NotifyPostmaster struct {
	notifier
	postmaster container.Address
	to         string
}

func newNotifyPostmaster(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		if s.Postmaster.IsNull() {
			p.Fail("", errors.New("the server has no postmaster address"))
		}
		return &NotifyPostmaster{readNotifier(s, p, postmasterText), s.Postmaster, readTo(p, wordPostmaster, wordUnaltered)}
	}
}

// Service sends the notice.
func (n *NotifyPostmaster) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	if about := noticesBefore(m); about < maxNotices && !n.own(m) {
		to := n.postmaster.Path()
		if n.to == wordUnaltered {
			to = originalTo(m)
		}
		if err := n.notify(m, out, n.postmaster, to, "auto-generated",
			headField{noticesField, strconv.Itoa(about + 1)}); err != nil {
			return fmt.Errorf("notify postmaster: %w", err)
		}
	}
	if !n.passThrough {
		m.State = container.StateGhost
	}
	return nil
}

// noticesField says in a notice how many notices led to it, itself included.
const (
	noticesField = "X-Mailetd-Notices"
	maxNotices   = 4
)

// noticesBefore returns what a notice says about itself, 0 for other mail.
func noticesBefore(m *container.Mail) int {
	v, ok := mime.Get(m.Message.Header(), noticesField)
	if !ok || !m.Sender.IsNull() {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(v))
	if err != nil || n < 0 {
		return maxNotices // whoever wrote this wants no answer
	}
	return min(n, maxNotices)
}

// own reports whether m is one of the notices sent here: null sender,
// auto-generated, and a Message-ID of this server. Reports to senders are
// auto-replied.
func (n *NotifyPostmaster) own(m *container.Mail) bool {
	if !m.Sender.IsNull() {
		return false
	}
	h := m.Message.Header()
	auto, _ := mime.Get(h, "Auto-Submitted")
	id, _ := mime.Get(h, "Message-ID")
	mine := mime.MessageID(n.hostname)
	return strings.EqualFold(auto, "auto-generated") && strings.HasSuffix(id, mine[strings.IndexByte(mine, '@'):])
}
