package lsacloudap_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/step"
	federationv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/federation/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	stepv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/step/v1"
)

const (
	prtLife   = 14*24*time.Hour - time.Second
	assertion = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion">ada</saml:Assertion>`
	mexURL    = "https://sts.fabrikam.test/adfs/services/trust/mex"
	mixedURL  = "https://sts.fabrikam.test/adfs/services/trust/13/usernamemixed"
	cardURL   = "https://sts.fabrikam.test/adfs/services/trust/13/certificatemixed"

	cardAssertion = `<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion">ada by card</saml:Assertion>`
)

// issuedPRT is what the fake remembers of a PRT instead of sealing it inside.
type issuedPRT struct {
	user, key string
	expires   time.Time
	methods   []string
}

// fakeIdP checks nonce, credential, PRT and session key, and answers in the form
// that fakeTPM opens.
type fakeIdP struct {
	idpv1.UnimplementedRealmServiceServer
	idpv1.UnimplementedNonceServiceServer
	idpv1.UnimplementedIssuanceServiceServer
	idpv1.UnimplementedTokenServiceServer
	idpv1.UnimplementedGrantServiceServer
	idpv1.UnimplementedDeviceRegistrationServiceServer
	idpv1.UnimplementedPINResetServiceServer
	faults
	fakePages
	w *world

	mu       sync.Mutex
	password string
	n        int
	nonces   map[string]bool
	prts     map[string]issuedPRT
	// renewals are the renewals taken, and when.
	renewals []request
	times    []time.Time
	// twist changes an answer before it goes out.
	twist func(*idpv1.RequestPRTResponse)
	renew func(*answer)
	realm func(*idpv1.DiscoverRealmResponse)
}

func newIdP(w *world) *fakeIdP {
	return &fakeIdP{w: w, password: password, nonces: map[string]bool{}, prts: map[string]issuedPRT{}, fakePages: newPages()}
}

func userOf(upn string) (string, bool) {
	id, ok := map[string]string{alice: aliceID, ada: adaID}[upn]
	return id, ok
}

func (f *fakeIdP) nonce() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	nonce := fmt.Sprintf("nonce-%d", f.n)
	f.nonces[nonce] = true
	return nonce
}

// mint makes a PRT with the session key of that name.
func (f *fakeIdP) mint(user, key string) string { return f.mintBy(user, key, "password") }

// mintBy makes one that was got with these methods.
func (f *fakeIdP) mintBy(user, key string, methods ...string) string {
	f.n++
	prt := fmt.Sprintf("1.prt.%s-%d", user[:8], f.n)
	f.prts[prt] = issuedPRT{user: user, key: key, expires: time.Now().Add(prtLife), methods: methods}
	return prt
}

func (f *fakeIdP) freshKey() string { f.n++; return fmt.Sprintf("key-%d", f.n) }

func idToken(user, tid, upn string, methods ...string) string {
	claims, _ := json.Marshal(map[string]any{"oid": user, "tid": tid, "upn": upn, "name": "Alice Example", "lockstep_methods": methods})
	t, err := jose.Unsigned(claims)
	if err != nil {
		return "unsigned: " + err.Error()
	}
	return t
}

func (f *fakeIdP) DiscoverRealm(ctx context.Context, r *idpv1.DiscoverRealmRequest) (*idpv1.DiscoverRealmResponse, error) {
	if err := f.w.called(ctx, "idp:DiscoverRealm", &f.faults); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(r.GetUserPrincipalName(), "@")
	a := &idpv1.DiscoverRealmResponse{DomainName: domain, CloudInstanceName: "microsoftonline.com", CloudAudienceUrn: "urn:federation:MicrosoftOnline"}
	switch domain {
	case "contoso.test":
		a.AccountType = idpv1.AccountType_ACCOUNT_TYPE_MANAGED
	case "fabrikam.test":
		a.AccountType = idpv1.AccountType_ACCOUNT_TYPE_FEDERATED
		a.FederationProtocol, a.FederationMetadataUrl = "WSTrust", mexURL
	default:
		a.AccountType = idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN
	}
	if f.realm != nil {
		f.realm(a)
	}
	return a, nil
}

func (f *fakeIdP) IssueNonce(ctx context.Context, _ *idpv1.IssueNonceRequest) (*idpv1.IssueNonceResponse, error) {
	if err := f.w.called(ctx, "idp:IssueNonce", &f.faults); err != nil {
		return nil, err
	}
	return &idpv1.IssueNonceResponse{Nonce: f.nonce()}, nil
}

// check is what every signed request must pass.
func (f *fakeIdP) check(compact, kind string) (request, error) {
	var r request
	if !readToken(compact, &r) || r.Kind != kind {
		return r, prterr.AADSTS(aadsts.MalformedRequest, "")
	}
	if !f.nonces[r.Nonce] {
		return r, prterr.AADSTS(aadsts.InvalidNonce, "")
	}
	delete(f.nonces, r.Nonce)
	return r, nil
}

func (f *fakeIdP) credential(r request) (string, error) {
	user, ok := userOf(r.UPN)
	federated := strings.HasSuffix(r.UPN, "@fabrikam.test")
	switch {
	case !ok, federated && (r.SAML != assertion || r.Password != ""), !federated && r.Password != f.password:
		// An unfriendly provider that sends back what it was sent.
		return "", &prterr.Error{Kind: prterr.Unauthenticated, Code: aadsts.InvalidCredentials, Msg: "no: " + r.Password}
	}
	return user, nil
}

func (f *fakeIdP) RequestPRT(ctx context.Context, q *idpv1.RequestPRTRequest) (*idpv1.RequestPRTResponse, error) {
	if err := f.w.called(ctx, "idp:RequestPRT", &f.faults); err != nil {
		return nil, err
	}
	_, span := step.Start(ctx, stepv1.Step_STEP_FIRST_SIGN_IN_E)
	defer span.End()
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.check(q.GetRequest(), "prt")
	if err != nil {
		return nil, err
	}
	if r.Key != "device" {
		return nil, prterr.AADSTS(aadsts.DeviceAuthenticationFailed, "")
	}
	user, methods, err := f.proof(&r)
	if err != nil {
		return nil, err
	}
	key := f.freshKey()
	a := &idpv1.RequestPRTResponse{
		TokenType: "Bearer", RefreshToken: f.mintBy(user, key, methods...), RefreshTokenExpiresIn: int64(prtLife / time.Second),
		SessionKeyJwe: "jwe." + key, IdToken: idToken(user, tenant, r.UPN, methods...),
	}
	if f.twist != nil {
		f.twist(a)
	}
	return a, nil
}

// bound finds a live PRT and demands that its session key signed.
func (f *fakeIdP) bound(r request) (issuedPRT, error) {
	p, ok := f.prts[r.PRT]
	switch {
	case !ok || p.key != r.Key:
		return p, prterr.AADSTS(aadsts.InvalidSessionKey, "")
	case !time.Now().Before(p.expires):
		return p, prterr.AADSTS(aadsts.ExpiredToken, "")
	}
	return p, nil
}

func (f *fakeIdP) RenewPRT(ctx context.Context, q *idpv1.RenewPRTRequest) (*idpv1.RenewPRTResponse, error) {
	if err := f.w.called(ctx, "idp:RenewPRT", &f.faults); err != nil {
		return nil, err
	}
	_, span := step.Start(ctx, stepv1.Step_STEP_RENEWAL_F)
	defer span.End()
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.check(q.GetRequest(), "renewal")
	if err != nil {
		return nil, err
	}
	p, err := f.bound(r)
	if err != nil {
		return nil, err
	}
	if r.UPN != "" {
		if user, err := f.credential(r); err != nil || user != p.user {
			return nil, prterr.AADSTS(aadsts.InvalidCredentials, "")
		}
	}
	f.renewals, f.times = append(f.renewals, r), append(f.times, time.Now())
	key := f.freshKey()
	a := answer{Key: r.Key, PRT: f.mintBy(p.user, key, p.methods...), JWE: "jwe." + key, IDToken: idToken(p.user, tenant, ""), Life: int64(prtLife / time.Second)}
	if f.renew != nil {
		f.renew(&a)
	}
	return &idpv1.RenewPRTResponse{Answer: token(a)}, nil
}

func (f *fakeIdP) RedeemPRT(ctx context.Context, q *idpv1.RedeemPRTRequest) (*idpv1.RedeemPRTResponse, error) {
	if err := f.w.called(ctx, "idp:RedeemPRT", &f.faults); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r, err := f.check(q.GetRequest(), "token")
	if err != nil {
		return nil, err
	}
	p, err := f.bound(r)
	if err != nil {
		return nil, err
	}
	a := answer{Key: r.Key, IDToken: idToken(p.user, tenant, "", p.methods...)}
	if r.Resource != "" {
		a.Access = "at." + r.Client
	} else if r.Client != entrawire.BrokerClientID {
		return nil, prterr.AADSTS(aadsts.InvalidResource, "")
	}
	if r.Scopes == "openid aza" {
		a.NewPRT, a.Life = f.mintBy(p.user, r.Key, p.methods...), int64(prtLife/time.Second)
	}
	return &idpv1.RedeemPRTResponse{Answer: token(a)}, nil
}

// fakeFederation is the other organisation's provider.
type fakeFederation struct {
	federationv1.UnimplementedFederationServiceServer
	faults
	w *world
	// twist changes the answers before they go out.
	twist func(*federationv1.GetMetadataResponse, *federationv1.IssueTokenResponse)
}

func (f *fakeFederation) GetMetadata(ctx context.Context, r *federationv1.GetMetadataRequest) (*federationv1.GetMetadataResponse, error) {
	if err := f.w.called(ctx, "adfs:GetMetadata", &f.faults); err != nil {
		return nil, err
	}
	if r.GetMetadataUrl() != mexURL {
		return nil, prterr.New(prterr.NotFound, "metadata_url is not of realm discovery")
	}
	a := &federationv1.GetMetadataResponse{UsernameMixedUrls: []string{mixedURL}, CertificateMixedUrls: []string{cardURL}}
	if f.twist != nil {
		f.twist(a, &federationv1.IssueTokenResponse{})
	}
	return a, nil
}

func (f *fakeFederation) IssueToken(ctx context.Context, r *federationv1.IssueTokenRequest) (*federationv1.IssueTokenResponse, error) {
	if err := f.w.called(ctx, "adfs:IssueToken", &f.faults); err != nil {
		return nil, err
	}
	if c := r.GetCertificate(); c != nil {
		if r.GetEndpointUrl() != cardURL || r.GetUserPrincipalName() != ada || r.GetPassword() != "" || string(c.GetSignature()) != "signed by the card" || len(c.GetChain()) != 1 {
			return nil, prterr.New(prterr.Unauthenticated, "no")
		}
		return &federationv1.IssueTokenResponse{SamlAssertion: cardAssertion}, nil
	}
	if r.GetEndpointUrl() != mixedURL || r.GetUserPrincipalName() != ada || r.GetPassword() != password || r.GetAppliesTo() != "urn:federation:MicrosoftOnline" {
		return nil, prterr.New(prterr.Unauthenticated, "no: %s", r.GetPassword())
	}
	a := &federationv1.IssueTokenResponse{SamlAssertion: assertion}
	if f.twist != nil {
		f.twist(&federationv1.GetMetadataResponse{}, a)
	}
	return a, nil
}
