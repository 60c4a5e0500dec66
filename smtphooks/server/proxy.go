package server

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// errProxyAddr: the header names no TCP client (UNKNOWN, LOCAL, a datagram).
var errProxyAddr = errors.New("PROXY header without TCP address")

// readProxy reads a PROXY header of version 1 or 2 and returns the address of
// the client.
func readProxy(br *bufio.Reader) (netip.Addr, error) {
	h, err := proxyproto.Read(br)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read PROXY header: %w", err)
	}
	tcp := h.TransportProtocol == proxyproto.TCPv4 || h.TransportProtocol == proxyproto.TCPv6
	addr, ok := h.SourceAddr.(*net.TCPAddr)
	if h.Command != proxyproto.PROXY || !tcp || !ok {
		return netip.Addr{}, errProxyAddr
	}
	ip, ok := netip.AddrFromSlice(addr.IP)
	if !ok {
		return netip.Addr{}, errProxyAddr
	}
	return ip.Unmap(), nil
}
