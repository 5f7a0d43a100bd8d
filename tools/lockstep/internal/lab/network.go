package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// errCut is what a device meets whose network is gone.
var errCut = errors.New("the device has no network")

// cuttable is a network whose ways into the cloud can be cut for one device.
type cuttable struct {
	inner rpc.Network
	mu    sync.Mutex
	cut   map[string]bool
	// apart are single addresses that a device does not reach, by device.
	apart map[string]map[string]bool
	// stalled are addresses that take what a device sends and answer nothing.
	stalled map[string]map[string]bool
	open    map[string]map[net.Conn]struct{}
	// moved has where an address leads to that a stand-in took while its owner listens on.
	moved map[string]string
}

func newCuttable(n rpc.Network) *cuttable {
	return &cuttable{
		inner: n, cut: map[string]bool{}, apart: map[string]map[string]bool{}, stalled: map[string]map[string]bool{},
		open: map[string]map[net.Conn]struct{}{}, moved: map[string]string{},
	}
}

// plain is the network as the actors of the lab see it: never cut.
func (c *cuttable) plain() rpc.Network { return c.inner }

// Listen opens an address of the lab's network that no component has, such as mem:tap:
// for what stands between two of them.
func (l *Lab) Listen(addr string) (net.Listener, error) { return l.network.plain().Listen(addr) }

// of is the network as the components of one device see it; ways to the cloud
// addresses can be cut.
func (c *cuttable) of(device string, cloud map[string]bool) rpc.Network {
	return deviceNetwork{c, device, cloud}
}

// set cuts the device off or brings it back. Connections under way break.
func (c *cuttable) set(device string, off bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[device] = off
	if off {
		c.hangUp(device)
	}
}

// setApart takes single addresses away from a device, or gives them back. All its
// connections under way break; those to other addresses are made again.
func (c *cuttable) setApart(device string, off bool, addresses ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apart[device] == nil {
		c.apart[device] = map[string]bool{}
	}
	stalled := false
	for _, a := range addresses {
		c.apart[device][a] = off
		stalled = stalled || c.stalled[device][a]
		delete(c.stalled[device], a)
	}
	if off || stalled {
		c.hangUp(device)
	}
}

// stall has single addresses take what a device sends and answer nothing, until setApart
// is told of them. All its connections under way break.
func (c *cuttable) stall(device string, addresses ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stalled[device] == nil {
		c.stalled[device] = map[string]bool{}
	}
	for _, a := range addresses {
		c.stalled[device][a] = true
	}
	c.hangUp(device)
}

// hangUp breaks the connections of a device; c.mu is held.
func (c *cuttable) hangUp(device string) {
	for conn := range c.open[device] {
		_ = conn.Close()
	}
	delete(c.open, device)
}

// move has an address lead to another one. Connections of all devices break, so that
// their next ones go there.
func (c *cuttable) move(from, to string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved[from] = to
	for device := range c.open {
		c.hangUp(device)
	}
}

// leadsTo is where an address leads now; c.mu is held.
func (c *cuttable) leadsTo(addr string) string {
	if to := c.moved[addr]; to != "" {
		return to
	}
	return addr
}

// dial is the way of a browser of the lab, which no command cuts.
func (c *cuttable) dial(ctx context.Context, addr string) (net.Conn, error) {
	c.mu.Lock()
	addr = c.leadsTo(addr)
	c.mu.Unlock()
	return c.inner.Dial(ctx, addr)
}

type deviceNetwork struct {
	*cuttable
	device string
	cloud  map[string]bool
}

func (d deviceNetwork) Listen(addr string) (net.Listener, error) { return d.inner.Listen(addr) }

func (d deviceNetwork) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if !d.cloud[addr] {
		return d.inner.Dial(ctx, addr)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut[d.device] || d.apart[d.device][addr] {
		return nil, errCut
	}
	conn, err := d.reach(ctx, addr)
	if err != nil {
		return nil, err
	}
	if d.open[d.device] == nil {
		d.open[d.device] = map[net.Conn]struct{}{}
	}
	d.open[d.device][conn] = struct{}{}
	return conn, nil
}

// reach dials an address, or what swallows everything in its place; d.mu is held.
func (d deviceNetwork) reach(ctx context.Context, addr string) (net.Conn, error) {
	if !d.stalled[d.device][addr] {
		return d.inner.Dial(ctx, d.leadsTo(addr))
	}
	conn, other := net.Pipe()
	go func() {
		_, _ = io.Copy(io.Discard, other) // until conn is closed
		_ = other.Close()
	}()
	return conn, nil
}
