// Package nativemsg is the browsers' native messaging: a 4-byte length in the
// machine's byte order, then that many bytes of UTF-8 JSON, on standard input and
// output. What is in the messages is the business of package browsercore.
package nativemsg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// MaxMessage is the most that is taken from a browser, in bytes. Browsers allow
// more; an honest request is a URL and a page address.
const MaxMessage = 64 << 10

// maxAnswer is the most a browser takes from a native host, in bytes.
const maxAnswer = 1 << 20

// ErrTooLarge is a frame above MaxMessage. The stream cannot be used any more.
var ErrTooLarge = errors.New("native message: larger than 65536 bytes")

// Read takes one message. io.EOF means that the browser closed the pipe between
// two messages; a pipe closed inside one is io.ErrUnexpectedEOF.
func Read(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("native message length: %w", err)
	}
	n := binary.NativeEndian.Uint32(size[:])
	if n > MaxMessage {
		return nil, ErrTooLarge
	}
	msg := make([]byte, n)
	if _, err := io.ReadFull(r, msg); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("native message: %w", err)
	}
	return msg, nil
}

// Write sends one message in one piece.
func Write(w io.Writer, msg []byte) error {
	if len(msg) > min(maxAnswer, math.MaxUint32) {
		return fmt.Errorf("native answer: larger than %d bytes", maxAnswer)
	}
	frame := append(binary.NativeEndian.AppendUint32(make([]byte, 0, 4+len(msg)), uint32(len(msg))), msg...)
	if _, err := w.Write(frame); err != nil {
		return fmt.Errorf("native answer: %w", err)
	}
	return nil
}
