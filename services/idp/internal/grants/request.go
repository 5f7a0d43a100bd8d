package grants

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// Request is a signed request and what came beside it, which nobody signed.
type Request struct {
	// Signed is the compact token.
	Signed secret.Text
	// Protocol is the version of the PRT protocol; 0 is 2.
	Protocol entrawire.Protocol
	// V2 is true on the endpoint v2.0, where scopes name the resource.
	V2 bool
	// V1 is true on the endpoint without a version, whose claims challenges are worded
	// in another way. Both are false for a device that calls by contract.
	V1 bool
	// Claims is a claims request in JSON, or empty. It only raises what is demanded.
	Claims string
	// Correlation is the client's id for the request, for the log, or empty.
	Correlation string
}

// bySession runs a renewal or an app-token request, signed in the way of its
// version of the protocol: with the session key, or from version 4 on with the
// device key.
func (g *Gate) bySession(ctx context.Context, flow signinlog.Flow, artefact sealed.Type, r Request,
	check func(*entrawire.SessionRequest) error, answer func(context.Context, Session, *entrawire.SessionRequest) (encoder, error),
) (string, error) {
	valid := func(c *entrawire.SessionRequest) error {
		if err := checkSessionRequest(c, r.Protocol); err != nil {
			return err
		}
		return check(c)
	}
	if r.Protocol == entrawire.Protocol4 {
		return g.byDeviceKey(ctx, flow, artefact, r, valid, answer)
	}
	return BySession(ctx, g, SessionKind[entrawire.SessionRequest, string]{
		Flow: flow, Correlation: r.Correlation, Artefact: artefact, Check: valid,
		Token:  func(c *entrawire.SessionRequest) secret.Text { return c.RefreshToken },
		Nonce:  func(c *entrawire.SessionRequest) string { return c.RequestNonce },
		Client: func(c *entrawire.SessionRequest) string { return c.ClientID },
		Answer: func(ctx context.Context, s Session, c *entrawire.SessionRequest) (string, error) {
			a, err := answer(ctx, s, c)
			if err != nil {
				return "", err
			}
			plain, err := a.Encode()
			if err != nil {
				return "", fmt.Errorf("answer: %w", err)
			}
			defer clear(plain)
			return issuance.SealAnswer(s.From, plain)
		},
	}, r.Signed)
}

type encoder interface{ Encode() ([]byte, error) }

// byDeviceKey is version 4: the device signs, and the artefact must be its own.
func (g *Gate) byDeviceKey(ctx context.Context, flow signinlog.Flow, artefact sealed.Type, r Request,
	check func(*entrawire.SessionRequest) error, answer func(context.Context, Session, *entrawire.SessionRequest) (encoder, error),
) (string, error) {
	return ByDevice(ctx, g, DeviceKind[entrawire.SessionRequest, string]{
		Flow: flow, Protocol: r.Protocol, Correlation: r.Correlation, Check: check,
		Nonce:  func(c *entrawire.SessionRequest) string { return c.RequestNonce },
		User:   func(*entrawire.SessionRequest) string { return "" },
		Client: func(c *entrawire.SessionRequest) string { return c.ClientID },
		Answer: func(ctx context.Context, d Device, c *entrawire.SessionRequest) (string, error) {
			s, err := g.sessionOfDevice(ctx, d, artefact, c.RefreshToken)
			if err != nil {
				return "", err
			}
			a, err := answer(ctx, s, c)
			if err != nil {
				return "", err
			}
			return sealForDevice(d, c.JWECrypto.APV, a)
		},
	}, r.Signed)
}

// sessionOfDevice opens the artefact of a version 4 request. It must be of that
// version, and of the device and the certificate that signed; AADSTS70000.
func (g *Gate) sessionOfDevice(ctx context.Context, d Device, want sealed.Type, text secret.Text) (Session, error) {
	a, err := g.Authority.Open(want, text)
	if err != nil || a.Tenant != d.Tenant.ID || a.Device != d.Device.ID || a.Certificate != issuance.Fingerprint(d.Device) ||
		a.Protocol != int(entrawire.Protocol4) {
		return Session{}, prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	s := Session{Tenant: d.Tenant, From: a.Aged(g.Clock.Now(), d.Tenant.Lifetimes.SecondFactor), event: d.event}
	NoteProof(d.event, s.From, incoming(a.Type))
	return s, g.standing(ctx, &s, d.event)
}

// sealForDevice encrypts an answer to the key that is registered for the device;
// the request has no say in which key that is.
func sealForDevice(d Device, apv string, a encoder) (string, error) {
	key, err := entrawire.ParseJWK(d.Device.TransportJWK)
	if err != nil || key.EC == nil {
		return "", prterr.AADSTS(aadsts.InvalidRequest, "the device has no key for version 4 of the protocol: register it with one on P-256")
	}
	plain, err := a.Encode()
	if err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	defer clear(plain)
	return entrawire.SealDeviceAnswer(key.EC, apv, plain)
}

// maxClaims bounds a claims request, in bytes.
const maxClaims = 4 << 10

// Demands are what a claims request asks for. They add to what policies demand.
type Demands struct {
	// MFA wants a second factor, FreshMFA one of the last ten minutes.
	MFA, FreshMFA bool
	// Device wants a device that authenticated.
	Device bool
	// CAE says that the client takes claims challenges.
	CAE bool
	// Contexts are authentication contexts, acrs. One that no policy is about stands
	// for a second factor.
	Contexts []string
}

// maxContexts bounds them in number, maxContext each in bytes.
const maxContexts, maxContext = 25, 64

// Methods adds what the parameter amr_values demands, separated by blanks or commas.
func (d *Demands) Methods(amrValues string) {
	d.add("amr", true, strings.FieldsFunc(strings.ToLower(amrValues), func(r rune) bool { return r == ' ' || r == ',' }))
}

// ParseClaims reads a claims request in JSON (OpenID Connect Core 5.5); the empty
// text demands nothing. Claims that nobody here demands anything for are skipped.
func ParseClaims(text string) (Demands, error) {
	var d Demands
	if text == "" {
		return d, nil
	}
	malformed := prterr.AADSTS(aadsts.InvalidRequest, "claims is not a claims request in JSON of up to %d bytes", maxClaims)
	var tokens map[string]map[string]*struct {
		Essential bool     `json:"essential"`
		Value     any      `json:"value"`
		Values    []string `json:"values"`
	}
	if len(text) > maxClaims || json.Unmarshal([]byte(text), &tokens) != nil {
		return d, malformed
	}
	for _, claims := range tokens {
		for name, c := range claims {
			if c == nil {
				continue
			}
			values := c.Values
			if one, ok := c.Value.(string); ok {
				values = append(values, one)
			}
			d.add(name, c.Essential, values)
			if len(d.Contexts) > maxContexts || slices.ContainsFunc(d.Contexts, func(c string) bool { return c == "" || len(c) > maxContext }) {
				return d, malformed
			}
		}
	}
	return d, nil
}
