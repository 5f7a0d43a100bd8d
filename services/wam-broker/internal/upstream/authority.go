// Package upstream is how the plug-in reaches the components below it: the
// authority of the PRT, the identity provider, device registration.
//
// What lives here: generated messages in, nouns out, and the checks that an
// answer from a stranger needs before anybody relies on it. What never may: a
// decision about which call to make; that is the plug-in's. Errors of the other
// side pass unchanged, so that an app sees the kind and code they were given.
package upstream

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/sid"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/wam-broker/internal/apptoken"
)

// Bounds of what the authority answers.
const (
	maxKind     = 64
	maxLifetime = 28 * time.Hour // the longest access token Entra gives
)

// Authority is the authority of the PRT on a joined device: lsa-cloudap. On every device
// it knows who is signed in.
type Authority struct {
	client authorityv1.TokenAuthorityServiceClient
}

// NewAuthority uses an authenticated connection.
func NewAuthority(conn grpc.ClientConnInterface) *Authority {
	return &Authority{client: authorityv1.NewTokenAuthorityServiceClient(conn)}
}

// SignedIn is who is signed in to the device under a session.
type SignedIn struct {
	// SID is who they are on this device; empty when lsa-cloudap does not say, and then
	// they have no work accounts.
	SID sid.SID
	// Account has the PRT of the session; nil when there is none: somebody of the
	// device's own, or somebody whose PRT is still to come.
	Account *apptoken.Account
	// Name is how they are called.
	Name string
	// Gone are those of the users that were asked about whose account on this device was
	// removed.
	Gone []sid.SID
}

// Who says who is signed in under a session, and which of some users of the device are
// there no more.
func (a *Authority) Who(ctx context.Context, session secret.Text, owners ...sid.SID) (SignedIn, error) {
	req := &authorityv1.DescribeAccountRequest{LogonSession: session.Reveal()}
	for _, s := range owners {
		req.Owners = append(req.Owners, string(s))
	}
	resp, err := a.client.DescribeAccount(ctx, req)
	if err != nil {
		return SignedIn{}, err
	}
	s := SignedIn{Name: resp.GetDisplayName()}
	if resp.GetSid() != "" {
		if s.SID, err = sid.Parse(resp.GetSid()); err != nil {
			return SignedIn{}, unusable(err)
		}
	}
	for _, owner := range owners { // of those that were asked about, and no others; who is signed in is there
		if owner != s.SID && slices.Contains(resp.GetGone(), string(owner)) {
			s.Gone = append(s.Gone, owner)
		}
	}
	if resp.GetNoPrt() {
		return s, nil
	}
	acc, err := account(resp)
	if err != nil {
		return SignedIn{}, unusable(err)
	}
	s.Account = &acc
	return s, nil
}

func unusable(err error) error {
	return prterr.Wrap(prterr.Internal, err, "the authority of the PRT described an account that cannot be used")
}

func account(r *authorityv1.DescribeAccountResponse) (acc apptoken.Account, err error) {
	if acc.Tenant, err = ids.ParseTenant(r.GetTenantId()); err != nil {
		return acc, err
	}
	if acc.User, err = ids.ParseUser(r.GetUserId()); err != nil {
		return acc, err
	}
	if acc.UPN, err = ids.ParseUPN(r.GetUserPrincipalName()); err != nil {
		return acc, err
	}
	kind := r.GetCredentialKind()
	if kind == "" || len(kind) > maxKind || !printable(kind) {
		return acc, fmt.Errorf("credential kind is not 1 to %d printable characters", maxKind)
	}
	acc.Kind = apptoken.CredentialKind(kind)
	if r.GetMembershipId() != "" {
		acc.Membership, err = ids.ParseMembership(r.GetMembershipId())
	}
	return acc, err
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// Sign has a token request signed with the session key. Without a refresh token
// the authority puts the PRT in it, which never comes here.
func (a *Authority) Sign(ctx context.Context, r apptoken.Request, redirect, nonce string, rt apptoken.Sealed) (secret.Text, error) {
	req := &authorityv1.SignTokenRequestRequest{
		LogonSession: r.Session.Reveal(), ClientId: string(r.Client), Resource: string(r.Resource),
		RedirectUri: redirect, RequestNonce: nonce,
	}
	if rt != nil {
		req.RefreshToken = &tpmv1.SealedToken{Sealed: rt}
	}
	resp, err := a.client.SignTokenRequest(ctx, req)
	if err != nil {
		return secret.Text{}, err
	}
	if resp.GetRequest() == "" {
		return secret.Text{}, prterr.New(prterr.Internal, "the authority of the PRT signed nothing")
	}
	return secret.NewText(resp.GetRequest()), nil
}

// Opened is an opened answer of the identity provider.
type Opened struct {
	Access   secret.Text
	Lifetime time.Duration
	Scope    string
	// Refresh is the app's new refresh token, nil when none came.
	Refresh apptoken.Sealed
	// NewPRT is empty when none came.
	NewPRT         secret.Text
	NewPRTLifetime time.Duration
}

// Open has an encrypted answer opened.
func (a *Authority) Open(ctx context.Context, r apptoken.Request, answer string) (Opened, error) {
	resp, err := a.client.OpenTokenAnswer(ctx, &authorityv1.OpenTokenAnswerRequest{
		LogonSession: r.Session.Reveal(), ClientId: string(r.Client), Answer: answer,
	})
	if err != nil {
		return Opened{}, err
	}
	return ReadOpened(resp.GetAnswer(), r)
}

// ReadOpened reads an opened answer. It refuses one that is for another resource than r
// asked for, or has no access token that lives.
func ReadOpened(in *tpmv1.OpenTokenAnswerResponse, r apptoken.Request) (Opened, error) {
	o := Opened{
		Access: secret.NewText(in.GetAccessToken()), Lifetime: seconds(in.GetExpiresIn()), Scope: in.GetScope(),
		Refresh: in.GetRefreshToken().GetSealed(),
		NewPRT:  secret.NewText(in.GetNewPrt()), NewPRTLifetime: seconds(in.GetNewPrtExpiresIn()),
	}
	switch {
	case o.Access.Empty():
		return Opened{}, bad("holds no access token")
	case o.Lifetime <= 0 || o.Lifetime > maxLifetime:
		return Opened{}, bad("has an expires_in that is not 1 second to 28 hours")
	case in.GetResource() != string(r.Resource):
		return Opened{}, bad("is for another resource than the app asked for")
	case len(o.Refresh) > apptoken.MaxSealed:
		return Opened{}, bad("holds a refresh token that is too long")
	}
	return o, nil
}

// seconds guards the multiplication: 2^33 s is 272 years, and out of range anyway.
func seconds(n int64) time.Duration {
	if n < 0 || n > 1<<33 {
		return -1
	}
	return time.Duration(n) * time.Second
}

func bad(what string) error {
	return prterr.New(prterr.Denied, "the identity provider's answer %s: it was not used", what)
}

// Used is no news to CloudAP: it asks the identity provider itself.
func (a *Authority) Used(context.Context, error) {}

// Served is no news to CloudAP: it renews on a clock of its own.
func (a *Authority) Served(context.Context) {}

// Kept is no news to CloudAP: it has no business with apps' tokens.
func (a *Authority) Kept(ids.ClientID) error { return nil }

// OfferPRT hands a new PRT down. The authority validates it with the identity
// provider before it adopts it; a refusal is an error.
func (a *Authority) OfferPRT(ctx context.Context, session, prt secret.Text, lifetime time.Duration) error {
	_, err := a.client.OfferPRT(ctx, &authorityv1.OfferPRTRequest{
		LogonSession: session.Reveal(), Prt: prt.Reveal(), ExpiresIn: int64(lifetime / time.Second),
	})
	return err
}
