package conf

import (
	"strings"
	"testing"
	"time"
)

func TestSMTPLimits(t *testing.T) {
	got, problems := readSMTP(`<limits><connectionRate>30</connectionRate><messagesPerConnection>7</messagesPerConnection><errors>0</errors>
		<commandTime>10 minutes</commandTime><dataRate>1000</dataRate></limits><handlerchain/>`)
	want := SMTPLimits{ConnectionRate: 30, Messages: 7, CommandTime: 10 * time.Minute, DataRate: 1000}
	if len(problems) > 0 || got[0].Limits != want {
		t.Errorf("got %+v, want %+v; problems %v", got[0].Limits, want, problems)
	}
	if got, _ := readLMTP(`<limits><commandTime>90</commandTime></limits><handlerchain/>`); got[0].Limits.CommandTime != 90*time.Second {
		t.Errorf("LMTP: got %+v", got[0].Limits)
	}
}

func TestSMTPLimitsProblems(t *testing.T) {
	for element, want := range map[string]string{
		"<errors>-1</errors>":                              "error: <errors> must not be negative",
		"<dataRate>fast</dataRate>":                        `error: <dataRate> is "fast", not a whole number`,
		"<commandTime>1 parsec</commandTime>":              "error: <commandTime>:",
		"<connectionrate>1</connectionrate>":               "warning: <connectionrate> is not an element of <limits>; ignored",
		"<errors>1</errors><errors>2</errors>":             "warning: <errors> is there already",
		"<messagesPerConnection>x</messagesPerConnection>": "error: <messagesPerConnection>",
	} {
		_, problems := readSMTP("<limits>" + element + "</limits><handlerchain/>")
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want %q", element, problems, want)
		}
	}
}
