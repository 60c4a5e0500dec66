package smime

import (
	"bytes"
	"errors"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// FuzzVerify: any octets, as a message, as signed data or as a signature beside
// content that was not signed, are never good, unless the content is the one that
// was signed.
func FuzzVerify(f *testing.F) {
	signed := file(f, "content.eml")
	for _, name := range []string{"cms-sha256", "cms-noattr", "cms-pss", "cms-two", "opaque", "opaque-stream"} {
		whole := file(f, name+".eml")
		f.Add(whole)
		m := container.ParseMessage(whole)
		root, err := mime.Scan(&m, mime.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		for leaf := range root.Leaves() {
			if data, err := leaf.Decode(m.Body(), maxContent); err == nil && leaf.Encoding() == "base64" {
				f.Add(data)
			}
		}
	}
	roots := trust(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		const beside = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nNot what was signed.\r\n--b\r\n" +
			"Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"
		opaque := wrap(data)
		encoded := text(t, container.NewMessage(nil, opaque.Body()))
		for _, m := range []container.Message{container.ParseMessage(data), opaque, container.ParseMessage([]byte(beside + encoded + "\r\n--b--\r\n"))} {
			s, err := Verify(&m, roots)
			if err != nil {
				if !errors.Is(err, ErrNotSigned) {
					t.Fatal(err)
				}
				continue
			}
			for _, one := range s.Signers {
				if one.Err == nil && !bytes.Equal(bytes.TrimRight([]byte(text(t, s.Content)), "\r\n"), bytes.TrimRight(signed, "\r\n")) {
					t.Fatalf("good: %q", text(t, s.Content))
				}
			}
		}
	})
}

// FuzzDecrypt: any octets are read, or an error that is known, and do not
// come out of authenticated encryption changed.
func FuzzDecrypt(f *testing.F) {
	for _, name := range []string{"enc-aes256", "enc-gcm", "enc-gcm-stream", "enc-ec", "enc-oaep", "enc-two", "opaque"} {
		m := container.ParseMessage(file(f, name+".eml"))
		root, err := mime.Scan(&m, mime.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		data, err := root.Decode(m.Body(), maxContent)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	ids := []*Identity{identity(f, "rsa"), identity(f, "ec")}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, id := range ids {
			m := wrap(data)
			_, err := id.Decrypt(&m)
			if err != nil && !errors.Is(err, ErrDecrypt) && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOtherRecipient) && !errors.Is(err, ErrNotEncrypted) {
				t.Fatal(err)
			}
		}
	})
}

// FuzzBER: what is DER stays as it is, and all else becomes it.
func FuzzBER(f *testing.F) {
	f.Add([]byte{0x30, 0x80, 0x24, 0x80, 0x04, 0x01, 1, 0x04, 0x81, 0x01, 2, 0, 0, 0, 0})
	f.Add(append([]byte{0x30, 0x82, 0x01, 0x02, 0x04, 0x81, 0xff}, make([]byte, 255)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		der, err := toDER(data)
		if err != nil {
			return
		}
		again, err := toDER(der)
		if err != nil || !bytes.Equal(again, der) || len(der) > 2*len(data)+16 {
			t.Fatalf("%x becomes %x, then %x, %v", data, der, again, err)
		}
	})
}
