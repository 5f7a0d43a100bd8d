// Package browsercore is the browser's native client host: a program that a
// browser starts, that takes messages on standard input and answers with PRT
// cookies on standard output (browser SSO, steps C to E).
//
// What lives here: the messages and the check that a page is the identity
// provider's, made whatever the browser checked before. What never may: a PRT, a
// key, or anything that outlives a message. It is a client of the PRT's authority and
// nothing more; browsers call it, and it acts for the one logon session it was started
// in. Server is the same for a browser that is on another machine.
package browsercore

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/signinurl"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	"github.com/lockstep-sso/lockstep/services/browsercore/internal/nativemsg"
)

// Config is what the host needs.
type Config struct {
	// Authority is a connection to the authority of the PRT.
	Authority grpc.ClientConnInterface
	// LogonSession is the session the browser runs in.
	LogonSession secret.Text
	// SignInHosts are the hosts whose sign-in pages may get a cookie; empty is the
	// public cloud's.
	SignInHosts []string
	// Log gets one line a refused message, without URLs; nil discards.
	Log *slog.Logger
}

// Host answers the messages of one browser.
type Host struct {
	authority authorityv1.CookieAuthorityServiceClient
	session   secret.Text
	pages     *signinurl.List
	log       *slog.Logger
}

// New checks the configuration.
func New(cfg Config) (*Host, error) {
	if cfg.Authority == nil {
		return nil, errors.New("browsercore: Authority is missing")
	}
	if cfg.LogonSession.Empty() {
		return nil, errors.New("browsercore: LogonSession is missing: start the host from a signed-in desktop")
	}
	hosts := cfg.SignInHosts
	if len(hosts) == 0 {
		hosts = signinurl.DefaultHosts()
	}
	pages, err := signinurl.NewList(hosts)
	if err != nil {
		return nil, err
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Host{authority: authorityv1.NewCookieAuthorityServiceClient(cfg.Authority), session: cfg.LogonSession, pages: pages, log: log}, nil
}

// Cookie is one cookie for a sign-in page.
type Cookie struct {
	Name  string
	Value secret.Text
}

// GetCookies makes the cookies for a page. A page that is not the identity
// provider's gets none, and the authority is not asked. sender is the page that
// wants them; it is checked for form only, because any page may link to a sign-in
// page.
func (h *Host) GetCookies(ctx context.Context, uri, sender string) ([]Cookie, error) {
	if _, err := h.pages.Nonce(uri); err != nil {
		return nil, prterr.New(prterr.Invalid, "uri: %v", err)
	}
	if sender == "" || len(sender) > nativemsg.MaxMessage || !utf8.ValidString(sender) {
		return nil, prterr.New(prterr.Invalid, "sender: give the address of the page that asks")
	}
	resp, err := h.authority.CreatePRTCookie(ctx, &authorityv1.CreatePRTCookieRequest{LogonSession: h.session.Reveal(), SignInUri: uri})
	if err != nil {
		return nil, err
	}
	if resp.GetName() != cookieName || resp.GetValue() == "" {
		return nil, prterr.New(prterr.Internal, "the authority answered without a cookie")
	}
	return []Cookie{{Name: resp.GetName(), Value: secret.NewText(resp.GetValue())}}, nil
}

// cookieName is the header and cookie of MS-OAPXBC 2.2.1.1.
const cookieName = "x-ms-RefreshTokenCredential"

// Wire constants of the Windows host: a privacy header that old browsers wanted,
// and cookie flags (0x2040: HTTP only, and not to be kept).
const (
	p3pHeader   = `CP="CAO DSP COR ADMa DEV CONo TELo CUR PSA PSD TAI IVDo OUR SAMi BUS DEM NAV STA UNI COM INT PHY ONL FIN PUR LOCi CNT"`
	cookieFlags = 8256
)

// request is a message of the browser's extension.
type request struct {
	Method string `json:"method"`
	URI    string `json:"uri"`
	Sender string `json:"sender"`
}

// answer is the host's message. Error names a fault of the message for the
// extension's log; a page that gets no cookie is not a fault but an empty list.
type answer struct {
	Response []item `json:"response"`
	Error    string `json:"error,omitempty"`
}

type item struct {
	Name      string `json:"name"`
	Data      string `json:"data"`
	P3PHeader string `json:"p3pHeader"`
	Flags     int    `json:"flags"`
}

// Serve answers messages until the browser closes the pipe, which is no error. A
// frame that cannot be skipped ends it.
func (h *Host) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	for {
		msg, err := nativemsg.Read(in)
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if errors.Is(err, nativemsg.ErrTooLarge) {
			return errors.Join(err, h.reply(out, answer{Response: []item{}, Error: "message too large"}))
		}
		if err != nil {
			return err
		}
		if err := h.reply(out, h.handle(ctx, msg)); err != nil {
			return err
		}
	}
}

func (h *Host) reply(out io.Writer, a answer) error {
	msg, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return nativemsg.Write(out, msg)
}

func (h *Host) handle(ctx context.Context, msg []byte) answer {
	none := answer{Response: []item{}}
	var req request
	// Strict: of two members of one name another reader might take the other.
	if err := jose.DecodeObject(msg, &req); err != nil || !utf8.Valid(msg) {
		none.Error = "message is not a JSON object"
		return none
	}
	if req.Method != "GetCookies" {
		none.Error = "method: only GetCookies is known"
		return none
	}
	cookies, err := h.GetCookies(ctx, req.URI, req.Sender)
	if err != nil {
		h.log.WarnContext(ctx, "no cookie", "kind", prterr.KindOf(err), "error", err)
		return none
	}
	for _, c := range cookies {
		none.Response = append(none.Response, item{Name: c.Name, Data: c.Value.Reveal(), P3PHeader: p3pHeader, Flags: cookieFlags})
	}
	return none
}
