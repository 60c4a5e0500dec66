package smime

import (
	"context"
	"fmt"
)

// Gate bounds the memory that the messages which are read at the same time take
// together. Small ones pass without waiting. A nil Gate lets all pass.
type Gate struct {
	turn   chan struct{} // held by the one who takes tokens: no two wait for each other
	tokens chan struct{} // one for each MiB
}

// Memory of a message, roughly: what comes out of it is there several times while
// it is converted, and each value of CMS has a description of its own.
const (
	gateSize   = 384 // MiB: more than the largest message takes
	timesThere = 5
	perElement = 200 // octets

	smallMessage = 4 // MiB, of memory
)

// NewGate returns a gate for a server.
func NewGate() *Gate { return newGate(gateSize) }

func newGate(mib int) *Gate {
	return &Gate{make(chan struct{}, 1), make(chan struct{}, mib)}
}

// Enter waits until there is room for a message of which size octets are read at
// once. The caller calls leave when he has done with it. The error is that of ctx.
func (g *Gate) Enter(ctx context.Context, size int64) (leave func(), err error) {
	n := 0
	if g != nil {
		n = int(min(memory(size)>>20, int64(cap(g.tokens))))
	}
	if n < smallMessage {
		return func() {}, nil
	}
	taken := 0
	leave = func() {
		for range taken {
			<-g.tokens
		}
	}
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for memory: %w", ctx.Err())
	}
	for ; taken < n; taken++ {
		select {
		case g.tokens <- struct{}{}:
		case <-ctx.Done():
			leave()
			return nil, fmt.Errorf("wait for memory: %w", ctx.Err())
		}
	}
	return leave, nil
}

// memory returns how much reading so many octets may take.
func memory(size int64) int64 {
	size = min(size, maxContent)
	return timesThere*size + min(maxElements, size/octetsPerElement)*perElement
}

// Held returns how many octets of a message of such a media type Verify holds at
// once: those of a signature beside its content, or everything.
func Held(mediaType string, size int64) int64 {
	if IsCMS(mediaType) {
		return size
	}
	return min(size, maxSignature+maxAround)
}
