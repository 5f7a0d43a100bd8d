// Package authority is what every authority of a PRT does, whoever keeps the PRT: it
// has requests built and signed by the tpm-agent, sends them to the identity provider,
// and reads what comes back as from a stranger.
//
// What lives here: a PRT with a credential or from the end of a sign-in page, its
// renewal and validation, requests and answers of applications. What never may: a key
// (the tpm-agent signs and opens), a file, a timer, memory between two calls; those are
// the caller's. The WAM plug-in calls it on registered devices, the CloudAP plug-in on
// joined ones.
package authority

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/datakey"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Config is what an authority needs.
type Config struct {
	// TPM and IdP are connections to tpm-agent and idp, authenticated as the component
	// that is the authority.
	TPM, IdP grpc.ClientConnInterface
	// SignInURL is the base address of sign-in pages, https and a host.
	SignInURL string
	// CallTimeout bounds each call to another component.
	CallTimeout time.Duration
}

// Authority obtains and uses PRTs. It is safe for use by many goroutines.
type Authority struct {
	keys     tpmv1.PRTKeyServiceClient
	realms   idpv1.RealmServiceClient
	nonces   idpv1.NonceServiceClient
	issuance idpv1.IssuanceServiceClient
	tokens   idpv1.TokenServiceClient
	grants   idpv1.GrantServiceClient
	dataKeys *datakey.Provider
	signIn   string
	timeout  time.Duration
}

// New checks the configuration. Errors name the field.
func New(cfg Config) (*Authority, error) {
	if cfg.TPM == nil || cfg.IdP == nil {
		return nil, errors.New("authority of the PRT: TPM and IdP are both needed")
	}
	if cfg.CallTimeout <= 0 {
		return nil, errors.New("authority of the PRT: CallTimeout must be positive")
	}
	u, err := url.Parse(cfg.SignInURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, prterr.New(prterr.Invalid, "authority of the PRT: the address of sign-in pages must be https and a host, such as https://login.microsoftonline.com")
	}
	return &Authority{
		keys: tpmv1.NewPRTKeyServiceClient(cfg.TPM), realms: idpv1.NewRealmServiceClient(cfg.IdP), nonces: idpv1.NewNonceServiceClient(cfg.IdP),
		issuance: idpv1.NewIssuanceServiceClient(cfg.IdP), tokens: idpv1.NewTokenServiceClient(cfg.IdP), grants: idpv1.NewGrantServiceClient(cfg.IdP),
		dataKeys: datakey.NewProvider(cfg.TPM, cfg.IdP, cfg.CallTimeout), signIn: "https://" + u.Host, timeout: cfg.CallTimeout,
	}, nil
}

// Key names whose PRT it is and with what kind of credential it was obtained.
type Key struct {
	Tenant ids.TenantID
	User   ids.UserID
	Kind   string
}

func (k Key) partition() *tpmv1.Partition {
	return &tpmv1.Partition{TenantId: string(k.Tenant), UserId: string(k.User), CredentialKind: k.Kind}
}

// Cached is a PRT with the session key that belongs to it. The PRT is there in one of
// two forms: sealed, as it is kept, or in clear, as somebody has offered it.
type Cached struct {
	Key
	PRT secret.Text
	// SealedPRT is the PRT as the tpm-agent sealed it (Protect).
	SealedPRT []byte
	// SealedKey is the session key as the tpm-agent sealed it.
	SealedKey []byte
}

func (c Cached) sessionKey() *tpmv1.SealedSessionKey {
	return &tpmv1.SealedSessionKey{Sealed: c.SealedKey}
}

// sealedPRT is nil for a PRT in clear.
func (c Cached) sealedPRT() *tpmv1.SealedPRT {
	if len(c.SealedPRT) == 0 {
		return nil
	}
	return &tpmv1.SealedPRT{Sealed: c.SealedPRT}
}

// Issued is a PRT as it came, its session key still wrapped.
type Issued struct {
	Identity
	// Kind of credential that it was obtained with.
	Kind string
	PRT  secret.Text
	Life time.Duration
	// WrappedKey is empty when the existing session key stays.
	WrappedKey string
	// Membership of the device that it was asked for under, where the caller that knows it
	// has put it in.
	Membership ids.MembershipID
}

// Key of the PRT.
func (i Issued) Key() Key { return Key{Tenant: i.Tenant, User: i.User, Kind: i.Kind} }

// call runs one call to another component within its time.
func call[Req, Resp any](ctx context.Context, timeout time.Duration, do func(context.Context, *Req, ...grpc.CallOption) (*Resp, error), req *Req) (*Resp, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx, req)
}
