package mailets

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Words that stand for addresses in the parameters of the redirect family
// (James: SpecialAddress). They are understood in any case.
const (
	wordPostmaster  = "postmaster"
	wordSender      = "sender"
	wordReversePath = "reversepath"
	wordFrom        = "from"
	wordReplyTo     = "replyto"
	wordRecipients  = "recipients"
	wordTo          = "to"
	wordUnaltered   = "unaltered"
	wordNull        = "null"
	wordDelete      = "delete"
)

// listWords are those that a list of recipients or a To field can have.
var listWords = []string{wordPostmaster, wordSender, wordReversePath, wordFrom, wordReplyTo, wordRecipients, wordTo, wordUnaltered, wordNull}

// addressItem is one item of an address parameter: a word, or an address. The
// zero item is one that was not given.
type addressItem struct {
	word string
	addr container.Address
}

// given reports whether the item asks for anything.
func (i addressItem) given() bool {
	return i.word != "" && i.word != wordUnaltered || !i.addr.IsNull()
}

// addressItems is a list of them.
type addressItems []addressItem

// given reports whether the list asks for anything: a word unaltered beside
// others is nothing, alone it is as if there were no list.
func (l addressItems) given() bool { return slices.ContainsFunc(l, addressItem.given) }

// readAddressItems reads a list of addresses, with or without display names, and
// words.
func readAddressItems(p *conf.Params, name string) addressItems {
	var out addressItems
	for _, text := range splitAddressList(p.String(name, "")) {
		out = append(out, parseAddressItem(p, name, text, listWords))
	}
	return out
}

// readAddressItem reads one address or one of words.
func readAddressItem(p *conf.Params, name string, words ...string) addressItem {
	v := p.String(name, "")
	if v == "" {
		return addressItem{}
	}
	return parseAddressItem(p, name, v, words)
}

func parseAddressItem(p *conf.Params, name, text string, words []string) addressItem {
	w := strings.ToLower(text)
	if slices.Contains(words, w) {
		return addressItem{word: w}
	}
	if slices.Contains(listWords, w) || w == wordDelete {
		p.Fail(name, fmt.Errorf("%q cannot stand here: want an address or one of %s", text, strings.Join(words, ", ")))
		return addressItem{}
	}
	a, err := container.ParseAddress(text)
	if err == nil {
		return addressItem{addr: a}
	}
	if boxes, ok := mime.ParseAddresses(text); ok && len(boxes) == 1 {
		return addressItem{addr: boxes[0].Address}
	}
	p.Fail(name, err)
	return addressItem{}
}

// splitAddressList cuts a list at the commas outside quotes.
func splitAddressList(v string) []string {
	var out []string
	start, quoted := 0, false
	add := func(end int) {
		if s := strings.TrimSpace(v[start:end]); s != "" {
			out = append(out, s)
		}
		start = end + 1
	}
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			add(i)
		}
	}
	add(len(v))
	return out
}

// envelope returns the recipients that the list stands for, each once.
func (l addressItems) envelope(m *container.Mail, postmaster container.Address) []container.Address {
	var out addressSet
	for _, i := range l {
		switch i.word {
		case wordSender, wordReversePath, wordFrom:
			out.add(m.Sender)
		case wordReplyTo:
			out.add(replyAddresses(m)...)
		case wordRecipients, wordTo:
			out.add(m.Recipients...)
		default:
			out.add(i.fixed(postmaster))
		}
	}
	return out.list
}

// header returns the addresses of the To field that the list stands for.
func (l addressItems) header(m *container.Mail, postmaster container.Address) []container.Address {
	var out addressSet
	for _, i := range l {
		switch i.word {
		case wordSender, wordReversePath:
			out.add(m.Sender)
		case wordFrom:
			out.add(fromAddresses(m)...)
		case wordReplyTo:
			out.add(replyAddresses(m)...)
		case wordRecipients, wordTo:
			out.add(mime.Addresses(m.Message.Header(), "To")...)
		default:
			out.add(i.fixed(postmaster))
		}
	}
	return out.list
}

// fixed returns what does not depend on the mail; null for nothing.
func (i addressItem) fixed(postmaster container.Address) container.Address {
	if i.word == wordPostmaster {
		return postmaster
	}
	return i.addr
}

// one returns the address that a single item stands for; null for the words null
// and, when the mail has a null sender, sender.
func (i addressItem) one(m *container.Mail, postmaster container.Address) container.Address {
	if i.word == wordSender {
		return m.Sender
	}
	return i.fixed(postmaster)
}

// replyAddresses returns whom an answer to the mail goes to (RFC 5322 §3.6.3).
func replyAddresses(m *container.Mail) []container.Address {
	for _, name := range []string{"Reply-To", "From"} {
		if list := mime.Addresses(m.Message.Header(), name); len(list) > 0 {
			return list
		}
	}
	return []container.Address{m.Sender}
}

// fromAddresses returns whom the message says it comes from.
func fromAddresses(m *container.Mail) []container.Address {
	for _, name := range []string{"From", "Sender"} {
		if list := mime.Addresses(m.Message.Header(), name); len(list) > 0 {
			return list
		}
	}
	return []container.Address{m.Sender}
}

// addressField is the value of a header field with these addresses.
func addressField(list []container.Address) string {
	paths := make([]string, len(list))
	for i, a := range list {
		paths[i] = a.Path()
	}
	return strings.Join(paths, ", ")
}
