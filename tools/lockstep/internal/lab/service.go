package lab

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// service is a network on which one address may stand for several servers, as that of a
// Service of a cluster does: each connection goes to the next one that lives. A Service
// hears late that one has died, so the first connection after a death goes nowhere.
type service struct {
	rpc.Network
	mu sync.Mutex
	// behind are the servers behind an address, in turn.
	behind map[string][]string
	turn   map[string]int
	// dead are servers that do not live; missed those that a connection was lost on since.
	dead, missed map[string]bool
	open         map[*leg]struct{}
	// elsewhere is where a server is that is a process of its own.
	elsewhere map[string]string
}

// leg is a connection to one of the servers.
type leg struct {
	net.Conn
	s  *service
	to string
}

func newService(n rpc.Network) *service {
	return &service{
		Network: n, behind: map[string][]string{}, turn: map[string]int{}, dead: map[string]bool{}, missed: map[string]bool{}, open: map[*leg]struct{}{}, elsewhere: map[string]string{},
	}
}

// share has an address stand for servers.
func (s *service) share(addr string, servers ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind[addr] = servers
}

// Dial implements rpc.Network.
func (s *service) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to := s.choose(addr)
	conn, err := s.connect(ctx, to)
	if err != nil {
		return nil, err
	}
	l := &leg{conn, s, to}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[l] = struct{}{}
	if s.dead[to] { // it died while the connection was made
		_ = l.Conn.Close()
	}
	return l, nil
}

func (s *service) connect(ctx context.Context, server string) (net.Conn, error) {
	s.mu.Lock()
	path := s.elsewhere[server]
	s.mu.Unlock()
	if path != "" {
		return rpc.OS{}.Dial(ctx, path)
	}
	return s.Network.Dial(ctx, server)
}

// choose is where a connection to an address goes.
func (s *service) choose(addr string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.behind[addr] {
		if s.dead[to] && !s.missed[to] {
			s.missed[to] = true
			return to
		}
	}
	live := slices.DeleteFunc(slices.Clone(s.behind[addr]), func(to string) bool { return s.dead[to] })
	if len(live) == 0 {
		return addr
	}
	s.turn[addr]++
	return live[s.turn[addr]%len(live)]
}

// kill breaks all connections to a server, which is dead from now on. They stay in open
// until their callers have noticed.
func (s *service) kill(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[server] = true
	for l := range s.open {
		if l.to == server {
			_ = l.Conn.Close()
		}
	}
}

// unnoticed says whether a caller still holds a connection to a server that is dead.
func (s *service) unnoticed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.open {
		if s.dead[l.to] {
			return true
		}
	}
	return false
}

// retire has no further connection go to a server, as before it is ended in good order;
// those that are open stay.
func (s *service) retire(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[server], s.missed[server] = true, true
}

// settle says where a server is from now on; empty is in this process.
func (s *service) settle(server, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elsewhere[server] = path
}

// revive takes a server in again.
func (s *service) revive(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.dead, server)
	delete(s.missed, server)
}

// Close implements net.Conn.
func (l *leg) Close() error {
	l.s.mu.Lock()
	delete(l.s.open, l)
	l.s.mu.Unlock()
	return l.Conn.Close()
}
