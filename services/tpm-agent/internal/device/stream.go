package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// maxResponse bounds an answer in bytes; TPM answers stay below 4 KiB.
const maxResponse = 8 << 10

// stream is a TPM behind a connection that is kept open: command in, then an
// answer whose header says how long it is.
type stream struct{ c net.Conn }

func dialStream(ctx context.Context, network, address string) (wire, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("TPM socket: %w", err)
	}
	return &stream{c}, nil
}

// Close closes the connection.
func (s *stream) Close() error { return s.c.Close() }

func (s *stream) exchange(command []byte, limit time.Duration) ([]byte, error) {
	if err := ready(s.c); err != nil {
		return nil, &notSentError{err}
	}
	if err := s.c.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, &notSentError{err}
	}
	if _, err := s.c.Write(command); err != nil {
		return nil, err
	}
	return readAnswer(s.c)
}

func readAnswer(r io.Reader) ([]byte, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n < headerSize || n > maxResponse {
		return nil, fmt.Errorf("answer of %d bytes", n)
	}
	out := append(make([]byte, 0, n), head[:]...)[:n]
	_, err := io.ReadFull(r, out[headerSize:])
	return out, err
}

// Commands of the simulator protocol of the TPM reference code (TpmTcpProtocol.h).
const (
	mssimPowerOn = 1
	mssimSend    = 8
	mssimNVOn    = 11
)

// mssim is a TPM behind the simulator protocol.
type mssim struct{ stream }

// dialMSSIM powers the simulator on at its platform port, which is the next one,
// and connects. Where nobody listens at that port, the TPM is on already (swtpm).
func dialMSSIM(ctx context.Context, address string) (wire, error) {
	if err := mssimPower(ctx, address); err != nil {
		return nil, fmt.Errorf("power of the TPM simulator: %w", err)
	}
	w, err := dialStream(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &mssim{*w.(*stream)}, nil
}

func mssimPower(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return err
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(n+1)))
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	for _, command := range []uint32{mssimPowerOn, mssimNVOn} {
		if _, err := c.Write(binary.BigEndian.AppendUint32(nil, command)); err != nil {
			return err
		}
		if err := mssimAck(c); err != nil {
			return err
		}
	}
	return nil
}

func mssimAck(r io.Reader) error {
	var ack [4]byte
	if _, err := io.ReadFull(r, ack[:]); err != nil {
		return err
	}
	if ack != [4]byte{} {
		return fmt.Errorf("the simulator answers %x", ack)
	}
	return nil
}

func (s *mssim) exchange(command []byte, limit time.Duration) ([]byte, error) {
	if err := ready(s.c); err != nil {
		return nil, &notSentError{err}
	}
	if err := s.c.SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, &notSentError{err}
	}
	frame := append(binary.BigEndian.AppendUint32(nil, mssimSend), 0) // locality 0
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(command)))
	frame = append(frame, command...)
	_, err := s.c.Write(frame)
	clear(frame)
	if err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(s.c, size[:]); err != nil {
		return nil, err
	}
	out, err := readAnswer(s.c)
	if err != nil {
		return nil, err
	}
	if int(binary.BigEndian.Uint32(size[:])) != len(out) {
		return nil, errors.New("the simulator's frame and the answer in it differ in size")
	}
	return out, mssimAck(s.c)
}
