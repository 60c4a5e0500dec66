package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/mailetd/mailetd/container/dns"
)

// One row for each kind of failure, in every stage where it makes a difference.
func TestJudge(t *testing.T) {
	rep := func(code int, enhanced string) error {
		return fmt.Errorf("wrapped: %w", reply{code, enhanced, "text"}.err())
	}
	for _, tc := range []struct {
		at        stage
		err       error
		permanent bool
		next      bool
		status    string
	}{
		{stageGreeting, rep(554, ""), false, true, "4.0.0"},
		{stageGreeting, rep(554, "5.7.1"), false, true, "5.7.1"},
		{stageGreeting, rep(421, ""), false, true, "4.4.2"},
		{stageHello, rep(550, ""), true, true, "5.7.1"},
		{stageHello, rep(502, "5.5.1"), true, true, "5.5.1"},
		{stageHello, rep(421, "4.3.2"), false, true, "4.3.2"},
		{stageTLS, rep(454, "4.7.0"), false, true, "4.7.0"},
		{stageTLS, rep(501, ""), false, true, "4.0.0"},
		{stageAuth, rep(535, "5.7.8"), true, false, "5.7.8"},
		{stageAuth, rep(454, "4.7.0"), false, false, "4.7.0"},
		{stageMail, rep(550, ""), true, false, "5.7.1"},
		{stageMail, rep(552, ""), true, false, "5.2.2"},
		{stageMail, rep(451, ""), false, true, "4.3.0"},
		{stageRcpt, rep(550, "5.1.1"), true, false, "5.1.1"},
		{stageRcpt, rep(550, ""), true, false, "5.1.1"},
		{stageRcpt, rep(551, ""), true, false, "5.0.0"},
		{stageRcpt, rep(553, ""), true, false, "5.1.3"},
		{stageRcpt, rep(501, ""), true, false, "5.0.0"},
		{stageRcpt, rep(503, ""), true, false, "5.0.0"},
		{stageRcpt, rep(552, ""), false, false, "4.2.2"},
		{stageRcpt, rep(552, "5.2.2"), true, false, "5.2.2"},
		{stageRcpt, rep(450, "4.2.0"), false, true, "4.2.0"},
		{stageRcpt, rep(452, ""), false, true, "4.3.1"},
		{stageRcpt, rep(354, ""), false, true, "4.5.0"},
		{stageData, rep(554, ""), true, false, "5.0.0"},
		{stageData, rep(451, ""), false, true, "4.3.0"},
		{stageData, rep(250, ""), false, true, "4.5.0"},
		{stageEnd, rep(554, "5.6.0"), true, false, "5.6.0"},
		{stageEnd, rep(552, ""), true, false, "5.2.2"},
		{stageEnd, rep(452, ""), false, true, "4.3.1"},
		{stageConnect, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, false, true, "4.4.1"},
		{stageConnect, context.DeadlineExceeded, false, true, "4.4.1"},
		{stageMail, io.EOF, false, true, "4.4.2"},
		{stageBody, io.ErrUnexpectedEOF, false, true, "4.4.2"},
		{stageEnd, io.EOF, false, false, "4.4.2"},
		{stageEnd, os.ErrDeadlineExceeded, false, false, "4.4.2"},
		{stageTLS, errors.New("bad certificate"), false, true, "4.7.5"},
		{stageGreeting, fmt.Errorf("x: %w", errReply), false, true, "4.5.0"},
		{stageBody, fmt.Errorf("%w: disk", errMessage), false, false, "4.3.0"},
		{stageRoute, fmt.Errorf("x: %w", dns.ErrTemporary), false, false, "4.4.3"},
		{stageRoute, &cause{status: "5.1.10", permanent: true}, true, false, "5.1.10"},
		{stageTLS, fmt.Errorf("TLS: %w", &cause{status: "5.7.4", permanent: true, next: true}), true, true, "5.7.4"},
	} {
		v := judge(tc.at, tc.err)
		if v.permanent != tc.permanent || v.next != tc.next || v.status != tc.status {
			t.Errorf("%s, %v: got permanent=%t next=%t %s, want %t %t %s", tc.at, tc.err, v.permanent, v.next, v.status, tc.permanent, tc.next, tc.status)
		}
	}
}
