package tpmsocket

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// acceptPause is how long an accept that failed is left alone: it fails for
// want of descriptors, which connections that end give back.
const acceptPause = 50 * time.Millisecond

// Serve serves until ctx ends, which is no error, until a client ends it, which
// is ErrStopped, or until a listener fails. commands carries TPM commands,
// control carries power: swtpm's control channel or mssim's platform port; nil
// is none. Both listeners and all connections are closed when it returns.
func (s *Server) Serve(ctx context.Context, commands, control net.Listener) error {
	caller := ctx
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	handle, second := s.swtpmCommand, s.swtpmControl
	if s.cfg.Framing == MSSIM {
		handle, second = s.mssimCommand, s.mssimPlatform
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.accept(gctx, commands, handle) })
	if control != nil {
		g.Go(func() error { return s.accept(gctx, control, second) })
	}
	g.Go(func() error {
		<-gctx.Done()
		_ = commands.Close()
		if control != nil {
			_ = control.Close()
		}
		s.closeConns()
		return nil
	})
	err := g.Wait()
	switch {
	case errors.Is(context.Cause(ctx), ErrStopped):
		return ErrStopped
	case caller.Err() != nil:
		return nil
	}
	return err
}

// message reads one message and answers it. An error ends the connection;
// io.EOF does so without a word.
type message func(c *conn) error

// accept serves the connections of one listener and waits for all of them.
func (s *Server) accept(ctx context.Context, l net.Listener, handle message) error {
	var g errgroup.Group
	defer func() { _ = g.Wait() }()
	g.SetLimit(s.cfg.Conns)
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			s.stop(err) // ends the connections that are waited for
			return err
		case err != nil:
			s.cfg.Log.Warn("accept failed", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}
			continue
		}
		if !s.keep(nc) {
			return nil
		}
		if !g.TryGo(func() error { s.serve(nc, handle); return nil }) {
			s.cfg.Log.Warn("too many connections", "limit", s.cfg.Conns)
			s.drop(nc)
		}
	}
}

// serve answers the messages of one connection, one after another.
func (s *Server) serve(nc net.Conn, handle message) {
	defer s.drop(nc)
	c := &conn{Conn: nc, idle: s.cfg.Idle, limit: s.cfg.Message}
	for {
		err := handle(c)
		switch {
		case err == nil:
			continue
		case errors.Is(err, ErrStopped):
			s.stop(ErrStopped)
		case !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed):
			s.cfg.Log.Warn("connection ended", "error", err)
		}
		return
	}
}

// keep remembers a connection, to close it at the end; false when the end came.
func (s *Server) keep(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = nc.Close()
		return false
	}
	s.conns[nc] = struct{}{}
	return true
}

func (s *Server) drop(nc net.Conn) {
	s.mu.Lock()
	delete(s.conns, nc)
	s.mu.Unlock()
	_ = nc.Close()
}

func (s *Server) closeConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for nc := range s.conns {
		_ = nc.Close()
	}
}
