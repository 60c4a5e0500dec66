// Command stamp is mailetd with one mailet of its own.
package main

import (
	"context"

	"github.com/mailetd/mailetd/cmd"
	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Stamp sets the attribute "stamp" of every mail it serves.
type Stamp struct{ text string }

func newStamp(p *conf.Params) container.Mailet {
	return &Stamp{text: p.Required("text")}
}

// Service implements container.Mailet.
func (s *Stamp) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	m.Set("stamp", s.text)
	return nil
}

func main() { cmd.Main(cmd.WithMailet("com.example.Stamp", newStamp)) }
