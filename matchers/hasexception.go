package matchers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mailetd/mailetd/container"
)

// HasException matches mails on which a matcher or mailet failed in a certain
// way, in the processor that onMailetException or onMatchException names. The way
// is the name of a Java exception, as James has it: a failure is a
// jakarta.mail.MessagingException, a defect of the program a
// java.lang.RuntimeException; both are a java.lang.Exception and a
// java.lang.Throwable. Nothing is known about failures once the mail was stored.
//
//	<mailet match="HasException=jakarta.mail.MessagingException" class="Null"/>
//
// Condition: the full name of the class; javax.mail is jakarta.mail.
//
// Differs from James: a class that stands for nothing here is logged at start and
// matches never, as James's more special exceptions do.
type HasException struct{ class string }

// Java classes that failures here stand for.
const (
	messagingException = "jakarta.mail.MessagingException"
	runtimeException   = "java.lang.RuntimeException"
	javaException      = "java.lang.Exception"
	throwable          = "java.lang.Throwable"
)

func newHasException(log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		class := strings.TrimSpace(condition)
		if !isClassName(class) {
			return nil, fmt.Errorf("want the name of an exception class such as %s", messagingException)
		}
		if rest, ok := strings.CutPrefix(class, "javax.mail."); ok {
			class = "jakarta.mail." + rest
		}
		switch class {
		case messagingException, runtimeException, javaException, throwable:
		default:
			log.Warn("no failure here is of this class; HasException matches never", "class", class)
		}
		return &HasException{class}, nil
	}
}

// isClassName reports whether s is a Java class name: identifiers with dots
// between them.
func isClassName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || '0' <= part[0] && part[0] <= '9' {
			return false
		}
		for _, c := range part {
			if c != '_' && c != '$' && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

// Match returns all recipients when the failure is of the class.
func (h *HasException) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	err, ok := m.Attributes[container.AttrMailetError].(error)
	if !ok {
		return nil, nil
	}
	is := messagingException
	// The engine marks what it caught as a panic.
	var defect interface{ Panicked() bool }
	if errors.As(err, &defect) && defect.Panicked() {
		is = runtimeException
	}
	return container.All(m, h.class == is || h.class == javaException || h.class == throwable), nil
}
