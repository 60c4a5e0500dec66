package mailets

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/amqp/amqptest"
)

// amqpMailet returns the mailet for a broker; its connection ends with the test.
func amqpMailet(t *testing.T, b *amqptest.Broker, params string) container.Mailet {
	t.Helper()
	ma := mustLoad(t, testRegistry(t), "AmqpForwardAttribute", "<uri>amqp://"+b.Addr()+"</uri><exchange>james:events</exchange>"+params)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- ma.(container.Runner).Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return ma
}

func TestAmqpForwardAttribute(t *testing.T) {
	for _, tc := range []struct {
		name  string
		value container.Value
		want  string
		err   string
	}{
		{name: "absent"},
		{name: "map", value: octets("b", "2", "a", "1"), want: "1 2"},
		{name: "list", value: []container.Value{[]byte("x"), "ü"}, want: "x ü"},
		{name: "text", value: "text", want: "text"},
		{name: "empty", value: octets()},
		{name: "number", value: int32(1), err: "it is a int32"},
		{name: "octets", value: []byte("x"), err: "it is a []uint8"},
		{name: "map of numbers", value: map[string]container.Value{"a": int64(1)}, err: "it holds a int64"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := amqptest.New(t)
			ma := amqpMailet(t, b, "<attribute>a</attribute><routing_key>r</routing_key>")
			m := testMail("bob@example.com")
			if tc.value != nil {
				m.Set("a", tc.value)
			}
			err := ma.Service(t.Context(), m, &container.Outbox{})
			if (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %v, want %q", err, tc.err)
			}
			var got []string
			for _, msg := range b.Messages(t, len(strings.Fields(tc.want))) {
				got = append(got, msg.Body)
				if msg.Exchange != "james:events" || msg.Key != "r" {
					t.Errorf("got %+v", msg)
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestAmqpDown: the mail goes on, unless the configuration wants an error.
func TestAmqpDown(t *testing.T) {
	b := amqptest.New(t)
	b.Close()
	for params, want := range map[string]string{"": "", "<ignoreErrors>true</ignoreErrors>": "", "<ignoreErrors>false</ignoreErrors>": "connection refused"} {
		m := testMail("bob@example.com")
		m.Set("a", "text")
		err := amqpMailet(t, b, "<attribute>a</attribute>"+params).Service(t.Context(), m, &container.Outbox{})
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", params, err, want)
		}
	}
}

func TestAmqpParameters(t *testing.T) {
	const good = "<uri>amqp://h</uri><exchange>e</exchange><attribute>a</attribute>"
	r := testRegistry(t)
	for params, want := range map[string]string{
		good:                          "",
		"<uri>amqp://h</uri>":         "<attribute> is required",
		"<exchange>e</exchange>":      "<uri> is required",
		good + "<uri>http://h</uri>":  "<uri>: broker 2: want a URI",
		good + "<timeout>0</timeout>": "<timeout>",
		good + "<routing_key>" + strings.Repeat("x", 256) + "</routing_key>": "<routing_key>: it is longer",
		good + "<exchange_type>queue</exchange_type>":                        "none of direct, fanout, topic and headers",
	} {
		if _, problems := load(t, r, "AmqpForwardAttribute", params); want == "" && len(problems) > 0 || !strings.Contains(strings.Join(problems, "\n"), want) {
			t.Errorf("%s: got %v, want %q", params, problems, want)
		}
	}
}

// TestCalendarPipeline runs James's sample: what one mailet leaves fits the next,
// also when the mail was in a queue in between.
func TestCalendarPipeline(t *testing.T) {
	b := amqptest.New(t)
	r := testRegistry(t)
	m := testMail("bob@example.com", "alice@example.com")
	encoded := "QkVHSU46VkNBTEVOREFSDQpNRVRIT0Q6UkVRVUVTVA0KQkVHSU46VkVWRU5UDQpVSUQ6w7xi\r\nZXINCkVORDpWRVZFTlQNCkVORDpWQ0FMRU5EQVINCg==\r\n"
	body := "--b\r\nContent-Type: text/plain\r\n\r\nSee you.\r\n--b\r\nContent-Type: text/calendar; charset=utf-8; method=REQUEST; name=invite.ics\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n" + encoded + "--b--\r\n"
	header := "From: Ann <ann@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
	m.Message = container.NewMessage([]byte(header), container.BytesBody(body))
	steps := []container.Mailet{
		mustLoad(t, r, "StripAttachment", "<mimeType>text/calendar</mimeType><attribute>rawIcalendar</attribute>"),
		mustLoad(t, r, "MimeDecodingMailet", "<attribute>rawIcalendar</attribute>"),
		mustLoad(t, r, "ICalendarParser", "<sourceAttribute>rawIcalendar</sourceAttribute><destinationAttribute>icalendar</destinationAttribute>"),
		mustLoad(t, r, "ICALToHeader", "<attribute>icalendar</attribute>"),
		mustLoad(t, r, "ICALToJsonAttribute", "<source>icalendar</source><rawSource>rawIcalendar</rawSource><destination>json</destination>"),
		amqpMailet(t, b, "<attribute>json</attribute>"),
	}
	for _, ma := range steps {
		serve(t, ma, m)
		stored, err := json.Marshal(m.Attributes)
		if err != nil {
			t.Fatal(err)
		}
		m.Attributes = nil
		if err := json.Unmarshal(stored, &m.Attributes); err != nil {
			t.Fatal(err)
		}
	}
	want := "X-MEETING-METHOD: REQUEST\r\nX-MEETING-UID: =?utf-8?q?=C3=BCber?=\r\n" + header
	if got := string(m.Message.Header()); got != want {
		t.Errorf("got header %q, want %q", got, want)
	}
	rcpts := map[string]bool{}
	for _, msg := range b.Messages(t, 2) {
		var doc map[string]any
		if err := json.Unmarshal([]byte(msg.Body), &doc); err != nil {
			t.Fatal(err)
		}
		rcpts[doc["recipient"].(string)] = true
		if doc["uid"] != "über" || doc["sender"] != "ann@example.org" || !strings.HasPrefix(doc["ical"].(string), "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n") {
			t.Errorf("got %v", doc)
		}
	}
	if len(rcpts) != 2 || !rcpts["bob@example.com"] || !rcpts["alice@example.com"] {
		t.Errorf("got documents for %v", rcpts)
	}
}
