package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/directory"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Call is a request to the resource.
type Call struct {
	// Token is the access token; empty takes the one inside Proof.
	Token secret.Text
	// Proof is a signed HTTP request, for a token that is bound to a key.
	Proof secret.Text
	// Method, Host and Path of the HTTP request, as far as the caller knows them.
	Method, Host, Path string
}

// bearer is who asks, all of it checked.
type bearer struct {
	tenant *tenant.Tenant
	client ids.ClientID
	scopes []string
	// appOnly is an application that acts for itself; then there is no user.
	appOnly bool
	user    store.User
	// amr is how the user proved who they are.
	amr []string
}

// tokenClaims are the claims of an access token that are read here.
type tokenClaims struct {
	Aud      string          `json:"aud"`
	Iss      string          `json:"iss"`
	Nbf      int64           `json:"nbf"`
	Exp      int64           `json:"exp"`
	TID      string          `json:"tid"`
	OID      string          `json:"oid"`
	AppID    string          `json:"appid"`
	AZP      string          `json:"azp"`
	Scope    string          `json:"scp"`
	IDTyp    string          `json:"idtyp"`
	DeviceID string          `json:"deviceid"`
	AIO      string          `json:"aio"`
	XMSCC    []string        `json:"xms_cc"`
	AMR      []string        `json:"amr"`
	Cnf      json.RawMessage `json:"cnf"`
}

// graph is the audience that is taken, by all its names.
func graph() tenant.Resource {
	return tenant.Resource{URI: "https://graph.microsoft.com", ID: "00000003-0000-0000-c000-000000000000"}
}

// refused is the one answer to a token that is not good here, whatever is wrong.
func refused(want tenant.Resource) error {
	return prterr.New(prterr.Unauthenticated, "access_token is not a valid token for %s, or has expired: get a new one", want.URI)
}

// bearer checks a call: the token by algorithm and key that are fixed here, its
// times, issuer and audience; the proof when the token is bound to a key; then
// whether what the token says still holds.
func (s *Service) bearer(ctx context.Context, c Call) (bearer, error) {
	return s.bearerFor(ctx, c, graph())
}

// bearerFor is bearer for a resource.
func (s *Service) bearerFor(ctx context.Context, c Call, want tenant.Resource) (bearer, error) {
	text, proof, err := openProof(c)
	if err != nil {
		return bearer{}, err
	}
	t, err := jose.Parse(text)
	if err != nil || s.cfg.Keys.Verify(t) != nil {
		return bearer{}, refused(want)
	}
	var claims tokenClaims
	if err := t.Claims(&claims); err != nil {
		return bearer{}, refused(want)
	}
	b, err := s.read(claims, want)
	if err != nil {
		return bearer{}, err
	}
	if err := s.possession(c, claims, proof, want); err != nil {
		return bearer{}, err
	}
	if b.appOnly {
		return b, nil
	}
	b.user, err = s.standing(ctx, b.tenant, claims, want)
	return b, err
}

// read judges what the token itself says.
func (s *Service) read(c tokenClaims, want tenant.Resource) (bearer, error) {
	now := s.cfg.Clock.Now()
	id, err := ids.ParseTenant(c.TID)
	if err != nil || now.Before(time.Unix(c.Nbf, 0)) || !now.Before(time.Unix(c.Exp, 0)) || !want.Is(c.Aud) {
		return bearer{}, refused(want)
	}
	home, known := s.cfg.Tenants.Tenant(id)
	issuers := issuance.Issuers(id)
	if !known || !slices.Contains(issuers[:], c.Iss) {
		return bearer{}, refused(want)
	}
	client, err := ids.ParseClient(c.AppID + c.AZP) // version 1.0 has one, 2.0 the other
	if err != nil {
		return bearer{}, refused(want)
	}
	if _, known := home.Application(client); !known {
		return bearer{}, refused(want)
	}
	return bearer{tenant: home, client: client, scopes: strings.Fields(c.Scope), appOnly: c.IDTyp == "app", amr: c.AMR}, nil
}

// standing asks the directory whether user and device are still those that the
// token was issued to, in the state of then. A client that takes claims challenges
// is told what to ask for (continuous access evaluation).
func (s *Service) standing(ctx context.Context, home *tenant.Tenant, c tokenClaims, want tenant.Resource) (store.User, error) {
	user, err := ids.ParseUser(c.OID)
	if err != nil {
		return store.User{}, refused(want)
	}
	var m issuance.Memory
	raw, err := jose.DecodeSegment(c.AIO)
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return store.User{}, refused(want) // not a user's access token
	}
	u, err := s.cfg.Directory.User(ctx, home.ID, user)
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return store.User{}, err
	case err != nil:
		return store.User{}, s.revoked(c)
	case u.SessionEpoch != m.SessionEpoch, m.Credential == sealed.Password && u.PasswordEpoch != m.PasswordEpoch:
		return store.User{}, s.revoked(c)
	case c.DeviceID == "":
		return u, nil
	}
	good, err := s.deviceStands(ctx, home, c.DeviceID, m.Certificate)
	if err == nil && !good {
		err = s.revoked(c)
	}
	return u, err
}

func (s *Service) deviceStands(ctx context.Context, home *tenant.Tenant, id string, certificate []byte) (bool, error) {
	device, err := ids.ParseDevice(id)
	if err != nil {
		return false, nil //nolint:nilerr // a token about no device stands for none
	}
	d, err := s.cfg.Directory.Device(ctx, home.ID, device)
	switch {
	case prterr.KindOf(err) == prterr.Internal:
		return false, err
	case err != nil:
		return false, nil //nolint:nilerr // a device that is not there does not stand
	}
	now, stands := issuance.Fingerprint(d), directory.Standing(home.Profile, d) == nil
	return stands && (len(certificate) == 0 || slices.Equal(now[:], certificate)), nil
}

// revoked refuses a token whose user or device is not what it was. The challenge
// demands a token that is younger than now.
func (s *Service) revoked(c tokenClaims) error {
	e := prterr.New(prterr.Unauthenticated, "access_token was revoked: the state of the user or the device has changed since it was issued; get a new one")
	if !slices.ContainsFunc(c.XMSCC, func(v string) bool { return strings.EqualFold(v, "cp1") }) {
		return e
	}
	return e.WithClaims(fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, s.cfg.Clock.Now().Unix()))
}
