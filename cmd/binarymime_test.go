package cmd

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// image returns n octets of all sorts, those among them that end lines, messages
// and parts where they are not looked at as content.
func image(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = append(b, "\x89PNG\r\n\x1a\n\x00\r\r\n.\r\nQUIT\r\n\n.\n\n--b\n--b--\n\r\n--c\r\n\xff\x7f="...)
		b = append(b, byte(i), byte(i>>8), '\r')
	}
	return b[:n]
}

// sendImage hands in a message with an image, by BDAT with BODY=BINARYMIME.
func (w *world) sendImage(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	message := "From: a@here.test\r\nSubject: picture\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n" +
		"Content-Transfer-Encoding: binary\r\n\r\n--b\r\n\r\nThis is the picture.\r\n--b\r\nContent-Type: image/png\r\n" +
		"Content-Transfer-Encoding: binary\r\n\r\n" + string(image(n)) + "\r\n--b--\r\n"
	first := len(message) / 3
	w.converse(ts, []string{"EHLO client.here.test", "MAIL FROM:<" + args[0] + "> BODY=BINARYMIME", "RCPT TO:<" + args[1] + ">",
		fmt.Sprintf("BDAT %d\r\n%s", first, message[:first]) + fmt.Sprintf("BDAT %d LAST\r\n%s", len(message)-first, message[first:]), "NOOP", "QUIT"})
}

// isImage compares the last picture in the output of the command before with what
// was sent.
func (w *world) isImage(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	out := strings.ReplaceAll(ts.ReadFile("stdout"), "\r\n", "\n")
	_, part, ok := strings.Cut(out[max(strings.LastIndex(out, "Content-Type: image/png"), 0):], "Content-Transfer-Encoding: base64\n\n")
	if !ok {
		ts.Fatalf("no picture in %q", out)
	}
	text, _, _ := strings.Cut(part, "\n--b--")
	got, err := base64.StdEncoding.DecodeString(text)
	ts.Check(err)
	if !bytes.Equal(got, image(n)) {
		ts.Fatalf("got a picture of %d octets, want %d", len(got), n)
	}
}
