package lab

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/lockstep-sso/lockstep/services/browsercore"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// maxNative is the most a browser takes from a native host, in bytes (1 MiB is
// the browsers' own limit).
const maxNative = 1 << 20

// pipedHost starts a native host for one message, as a browser does, and talks
// to it over pipes in the browsers' framing.
type pipedHost struct{ device *Device }

// GetCookies asks for cookies for a sign-in URL.
func (p pipedHost) GetCookies(ctx context.Context, d actor.Desktop, uri, sender string) ([]actor.SSOCookie, error) {
	authority, err := p.device.lab.Dial(ctx, "browsercore", p.device.Key("lsa-cloudap"))
	if err != nil {
		return nil, err
	}
	host, err := browsercore.New(browsercore.Config{Authority: authority, LogonSession: d.Session})
	if err != nil {
		return nil, err
	}
	toHost, fromBrowser := io.Pipe()
	toBrowser, fromHost := io.Pipe()
	served := make(chan error, 1)
	go func() {
		err := host.Serve(ctx, toHost, fromHost)
		_ = fromHost.CloseWithError(io.EOF)
		served <- err
	}()
	cookies, err := askHost(fromBrowser, toBrowser, uri, sender)
	_ = fromBrowser.Close()
	_ = toBrowser.Close()
	return cookies, errors.Join(err, <-served)
}

// askHost sends one GetCookies message and reads the answer.
func askHost(w io.Writer, r io.Reader, uri, sender string) ([]actor.SSOCookie, error) {
	msg, err := json.Marshal(map[string]string{"method": "GetCookies", "uri": uri, "sender": sender})
	if err != nil {
		return nil, fmt.Errorf("native message: %w", err)
	}
	frame := append(binary.NativeEndian.AppendUint32(nil, uint32(len(msg))), msg...)
	if _, err := w.Write(frame); err != nil {
		return nil, fmt.Errorf("native message: %w", err)
	}
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, fmt.Errorf("native answer: %w", err)
	}
	n := binary.NativeEndian.Uint32(size[:])
	if n > maxNative {
		return nil, fmt.Errorf("native answer of %d bytes is too large", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("native answer: %w", err)
	}
	return cookiesOf(body)
}
