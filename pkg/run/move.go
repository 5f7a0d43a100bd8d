package run

import (
	"fmt"
	"net"
	"sync"
)

// Move has the component serve at another address from now on and no more at the one
// before, whose connections break. Everything that it knows stays. A laboratory does this
// when a stand-in takes the component's place.
func (r *Running) Move(addr string) error {
	r.moving.Lock()
	defer r.moving.Unlock()
	l, err := r.env.network.Listen(addr)
	if err != nil {
		return fmt.Errorf("move to %s: %w", addr, err)
	}
	before := r.at
	r.serve(l)
	return before.leave()
}

// serve takes calls at a listener; the end of one that was left is no failure.
func (r *Running) serve(l net.Listener) {
	at := &place{Listener: l, open: map[net.Conn]struct{}{}}
	r.at = at
	go func() {
		if err := r.server.Serve(at); !at.wasLeft() {
			r.health.stopping()
			r.served <- err
		}
	}()
}

// place is a listener that knows its connections, so that it can be left with all.
type place struct {
	net.Listener
	mu   sync.Mutex
	left bool
	open map[net.Conn]struct{}
}

// Accept implements net.Listener.
func (p *place) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		_ = c.Close()
	}
	p.open[c] = struct{}{}
	return guest{c, p}, nil
}

func (p *place) wasLeft() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

// leave ends listening and all connections.
func (p *place) leave() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = true
	for c := range p.open {
		_ = c.Close()
	}
	return p.Listener.Close()
}

// guest is a connection that is forgotten when it ends.
type guest struct {
	net.Conn
	at *place
}

// Close implements net.Conn.
func (g guest) Close() error {
	g.at.mu.Lock()
	delete(g.at.open, g.Conn)
	g.at.mu.Unlock()
	return g.Conn.Close()
}
