package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

const (
	// bulkClient is the application whose refresh tokens register devices and do
	// nothing else.
	bulkClient ids.ClientID = "b90d5b8f-5503-4153-b545-b31cecfaece2"
	// longestPackage is how long an enrolment package may be good.
	longestPackage = 180 * 24 * time.Hour
	bulkKind       = "bulk_enrolment"
	bulkWait       = 10 * time.Minute
)

// Package is an enrolment package to be made.
type Package struct {
	Caller Caller
	// AccessToken of an administrator, for device registration.
	AccessToken secret.Text
	Name        string
	// ID is a GUID.
	ID      string
	Expires time.Time
}

// enrolment is a package that is being made, as it is kept.
type enrolment struct {
	Tenant  ids.TenantID `json:"t"`
	Admin   ids.UserID   `json:"a"`
	User    ids.UserID   `json:"u"`
	Expires time.Time    `json:"x"`
}

// StartBulkEnrolment makes the user of an enrolment package and returns the name
// of the request for PollBulkEnrolment. AADSTS240001 for who is no administrator.
func (s *Service) StartBulkEnrolment(ctx context.Context, p Package) (flow secret.Text, err error) {
	e := &signinlog.Event{Flow: signinlog.BulkEnrolment, Client: bulkClient, Correlation: correlation(p.Caller.Correlation)}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), *e, err) }()
	admin, err := s.administrator(ctx, p.AccessToken, e)
	if err != nil {
		return secret.Text{}, err
	}
	now := s.gate.Clock.Now()
	id, err := ids.ParseUser(p.ID)
	switch {
	case err != nil:
		return secret.Text{}, prterr.AADSTS(aadsts.InvalidRequest, "pid is not right: it is a GUID of 36 characters")
	case len(p.Name) > 256:
		return secret.Text{}, prterr.AADSTS(aadsts.InvalidRequest, "name is longer than 256 bytes")
	case !p.Expires.After(now) || p.Expires.Sub(now) > longestPackage:
		return secret.Text{}, prterr.AADSTS(aadsts.InvalidRequest, "exp is not a time in the next 180 days")
	}
	u, err := s.gate.Directory.AddPackageUser(ctx, admin.Tenant, id)
	if err != nil {
		return secret.Text{}, err
	}
	data, err := json.Marshal(enrolment{Tenant: admin.Tenant, Admin: admin.ID, User: u.ID, Expires: p.Expires})
	if err != nil {
		return secret.Text{}, fmt.Errorf("enrolment package: %w", err)
	}
	key := rand.Text()
	if err := s.pendings.AddPending(ctx, store.Pending{Kind: bulkKind, Key: key, Expires: now.Add(bulkWait), Data: data}); err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "the enrolment package cannot be kept")
	}
	return secret.NewText(key), nil
}

// PollBulkEnrolment gives the tokens of an enrolment package, once.
func (s *Service) PollBulkEnrolment(ctx context.Context, caller Caller, token, flow secret.Text) (out Answer, err error) {
	e := &signinlog.Event{Flow: signinlog.BulkEnrolment, Client: bulkClient, Correlation: correlation(caller.Correlation)}
	defer func() { s.gate.Log.Record(ctx, s.gate.Clock.Now(), *e, err) }()
	admin, err := s.administrator(ctx, token, e)
	if err != nil {
		return Answer{}, err
	}
	unknown := prterr.AADSTS(aadsts.InvalidGrant, "flowtoken is not one of an enrolment package that is being made: begin again")
	p, err := s.pendings.Pending(ctx, bulkKind, flow.Reveal(), s.gate.Clock.Now())
	if err != nil {
		return Answer{}, unknown
	}
	var made enrolment
	if err := json.Unmarshal(p.Data, &made); err != nil {
		return Answer{}, fmt.Errorf("enrolment package as kept: %w", err)
	}
	if made.Tenant != admin.Tenant || made.Admin != admin.ID || s.pendings.DeletePending(ctx, bulkKind, p.Key) != nil {
		return Answer{}, unknown
	}
	return s.packageTokens(ctx, made, e)
}

// administrator is who the access token speaks for: one for device registration,
// of a user who may make packages now.
func (s *Service) administrator(ctx context.Context, token secret.Text, e *signinlog.Event) (store.User, error) {
	t, ok := s.gate.Authority.ReadAccessToken(token)
	if !ok || !t.ForRegistration() || t.KeyID != "" {
		return store.User{}, prterr.New(prterr.Unauthenticated, "access_token is not a valid token for device registration: get a new one")
	}
	e.Tenant = t.Tenant
	u, err := s.gate.Directory.User(ctx, t.Tenant, t.User)
	e.User = u.UPN
	switch {
	case err != nil:
		return store.User{}, err
	case revoked(t.From, u):
		return store.User{}, prterr.AADSTS(aadsts.FreshTokenNeeded, "")
	case !u.Administrator:
		return store.User{}, prterr.AADSTS(aadsts.RegistrationNotAllowed, "")
	}
	return u, nil
}

// packageTokens makes the refresh token of a package and the ID token that clients
// read its tenant from.
func (s *Service) packageTokens(ctx context.Context, made enrolment, e *signinlog.Event) (Answer, error) {
	x := &exchange{Service: s, Request: Request{Version: 1, ClientID: string(bulkClient), ClientInfo: true}, event: e, client: bulkClient}
	if err := x.enter(made.Tenant); err != nil {
		return Answer{}, err
	}
	if err := x.find(); err != nil {
		return Answer{}, err
	}
	u, err := s.gate.Directory.User(ctx, made.Tenant, made.User)
	if err != nil {
		return Answer{}, err
	}
	from := x.signedIn(u, sealed.Bulk, "")
	from.AMR, from.Used = []string{"none"}, nil
	from.Type, from.Expires = sealed.RefreshToken, made.Expires
	return x.tokens(ctx, from, audience{openid: true, offline: true, told: []string{"openid"}}, func(g *issuance.Grant) { g.AskedResource = "" })
}
