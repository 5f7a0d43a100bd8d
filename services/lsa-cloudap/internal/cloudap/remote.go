package cloudap

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// plugin is the plug-in as the framework sees it, over its contract. Whose
// plug-in it is does not matter here, so its answers are checked too. A flow
// through the plug-in is as long as its caller allows; the plug-in itself bounds
// each call it makes.
type plugin struct {
	service cloudapv1.PluginServiceClient
}

func newPlugin(conn grpc.ClientConnInterface) plugin {
	return plugin{service: cloudapv1.NewPluginServiceClient(conn)}
}

// maxUnix is the end of the year 9999, the last that JSON can say.
const maxUnix = 253402300799

// issued is a PRT as the plug-in got it, its session key still wrapped.
type issued struct {
	key         partition.Key
	prt         secret.Text
	life        time.Duration
	wrappedKey  string // empty when the existing session key stays
	displayName string
	upn         ids.UPN // empty when the plug-in does not say
	// mfa is what the provider says of a second factor, and mfaTime when it was proven.
	mfa     partition.MFA
	mfaTime time.Time
	// membership of the device that the PRT was requested under; empty for a renewed one,
	// and when the plug-in does not say.
	membership ids.MembershipID
}

func (p plugin) authenticate(ctx context.Context, upn ids.UPN, cred proof) (issued, error) {
	req := &cloudapv1.AuthenticateUserRequest{UserPrincipalName: string(upn)}
	switch {
	case cred.hello != nil:
		req.Credential = &cloudapv1.AuthenticateUserRequest_Hello{Hello: &cloudapv1.HelloCredential{
			TenantId: string(cred.hello.user.Tenant), UserId: string(cred.hello.user.User), Pin: cred.hello.pin.Reveal(),
		}}
	case cred.page != nil:
		req.Credential = &cloudapv1.AuthenticateUserRequest_Page{Page: cred.page.message()}
	case cred.other != "":
		req.Credential = &cloudapv1.AuthenticateUserRequest_Other{Other: &cloudapv1.UnknownCredential{Provider: cred.other}}
	case cred.card != nil:
		req.Credential = &cloudapv1.AuthenticateUserRequest_SmartCard{SmartCard: &cloudapv1.SmartCardProof{
			Chain: cred.card.Chain, CreatedAt: cred.card.Created.Unix(), Signature: cred.card.Signature,
		}}
	default:
		req.Credential = &cloudapv1.AuthenticateUserRequest_Password{Password: cred.password.Reveal()}
	}
	a, err := p.service.AuthenticateUser(ctx, req)
	if err != nil {
		return issued{}, err
	}
	got, err := readIssued(a.GetIssued())
	switch {
	case err != nil:
		return issued{}, err
	case got.wrappedKey == "":
		return issued{}, badAnswer("session_key_jwe is missing")
	case got.upn == "" || upn != "" && got.upn != upn:
		return issued{}, badAnswer("user_principal_name is missing or is another one than who signs in")
	case !cred.fits(got.key):
		return issued{}, badAnswer("the partition is not the credential's")
	}
	return got, nil
}

// fits holds that a PRT is for the partition of its credential. Only a page says
// itself what was proven.
func (p proof) fits(k partition.Key) bool {
	switch {
	case p.hello != nil:
		return k == partition.Key{Tenant: p.hello.user.Tenant, User: p.hello.user.User, Kind: partition.Hello}
	case p.card != nil:
		return k.Kind == partition.SmartCard
	case p.page != nil:
		return true
	default:
		return k.Kind == partition.Password
	}
}

func (p plugin) renew(ctx context.Context, old partition.Partition, password secret.Text) (issued, error) {
	a, err := p.service.RenewPRT(ctx, &cloudapv1.RenewPRTRequest{
		Cached: cachedMessage(old), UserPrincipalName: string(old.UPN), Password: password.Reveal(),
	})
	if err != nil {
		return issued{}, err
	}
	return readIssued(a.GetIssued())
}

func (p plugin) validate(ctx context.Context, offered partition.Partition) error {
	_, err := p.service.ValidatePRT(ctx, &cloudapv1.ValidatePRTRequest{Offered: cachedMessage(offered)})
	return err
}

func (p plugin) signTokenRequest(ctx context.Context, cached partition.Partition, r TokenRequest, newPRT bool) (string, error) {
	req := &cloudapv1.SignTokenRequestRequest{
		Cached: cachedMessage(cached), ClientId: string(r.Client), Resource: r.Resource, RedirectUri: r.RedirectURI,
		RequestNonce: r.Nonce, RequestNewPrt: newPRT,
	}
	if r.RefreshToken != nil {
		req.RefreshToken = &tpmv1.SealedToken{Sealed: r.RefreshToken}
	}
	a, err := p.service.SignTokenRequest(ctx, req)
	if err != nil {
		return "", err
	}
	if !artefact.Opaque(a.GetRequest(), artefact.MaxToken) {
		return "", badAnswer("request is not a compact token")
	}
	return a.GetRequest(), nil
}

func (p plugin) openTokenAnswer(ctx context.Context, cached partition.Partition, client ids.ClientID, answer string, discard bool) (*tpmv1.OpenTokenAnswerResponse, error) {
	a, err := p.service.OpenTokenAnswer(ctx, &cloudapv1.OpenTokenAnswerRequest{
		Cached: cachedMessage(cached), ClientId: string(client), Answer: answer, DiscardRefreshToken: discard,
	})
	if err != nil {
		return nil, err
	}
	if a.GetAnswer() == nil {
		return nil, badAnswer("answer is missing")
	}
	return a.GetAnswer(), nil
}

// fetchDataKey is the provider's half of what a user's data key rests under.
func (p plugin) fetchDataKey(ctx context.Context, cached partition.Partition) (string, error) {
	a, err := p.service.FetchDataKey(ctx, &cloudapv1.FetchDataKeyRequest{Cached: cachedMessage(cached)})
	if err != nil {
		return "", err
	}
	if !artefact.Opaque(a.GetAnswer(), artefact.MaxToken) {
		return "", badAnswer("answer is not a compact token")
	}
	return a.GetAnswer(), nil
}

func (p plugin) createCookie(ctx context.Context, cached partition.Partition, nonce string) (Cookie, error) {
	a, err := p.service.CreatePRTCookie(ctx, &cloudapv1.CreatePRTCookieRequest{Cached: cachedMessage(cached), RequestNonce: nonce})
	if err != nil {
		return Cookie{}, err
	}
	if !artefact.Opaque(a.GetName(), artefact.MaxName) || !artefact.Opaque(a.GetValue(), artefact.MaxToken) {
		return Cookie{}, badAnswer("cookie name or value is malformed")
	}
	return Cookie{Name: a.GetName(), Value: secret.NewText(a.GetValue())}, nil
}

func readIssued(m *cloudapv1.IssuedPRT) (issued, error) {
	key, err := partition.ParseKey(m.GetPartition().GetTenantId(), m.GetPartition().GetUserId(), m.GetPartition().GetCredentialKind())
	life, ok := artefact.Life(m.GetExpiresIn())
	switch {
	case err != nil:
		return issued{}, badAnswer("partition is malformed")
	case !artefact.Opaque(m.GetPrt(), artefact.MaxPRT):
		return issued{}, badAnswer("prt is empty, too long or has a character that is not allowed")
	case !ok:
		return issued{}, badAnswer("expires_in is not 1 second to 400 days")
	case len(m.GetSessionKeyJwe()) > artefact.MaxSealedKey || len(m.GetDisplayName()) > artefact.MaxName:
		return issued{}, badAnswer("session_key_jwe or display_name is too long")
	}
	var upn ids.UPN
	if m.GetUserPrincipalName() != "" {
		if upn, err = ids.ParseUPN(m.GetUserPrincipalName()); err != nil {
			return issued{}, badAnswer("user_principal_name is malformed")
		}
	}
	var membership ids.MembershipID
	if m.GetMembershipId() != "" {
		if membership, err = ids.ParseMembership(m.GetMembershipId()); err != nil {
			return issued{}, badAnswer("membership_id is malformed")
		}
	}
	got := issued{
		upn: upn, key: key, prt: secret.NewText(m.GetPrt()), life: life,
		wrappedKey: m.GetSessionKeyJwe(), displayName: m.GetDisplayName(), membership: membership,
	}
	switch m.GetMfa() {
	case authorityv1.MFAState_MFA_STATE_YES:
		got.mfa = partition.MFAYes
		if m.GetMfaTime() > 0 && m.GetMfaTime() <= maxUnix {
			got.mfaTime = time.Unix(m.GetMfaTime(), 0)
		}
	case authorityv1.MFAState_MFA_STATE_NO:
		got.mfa = partition.MFANo
	case authorityv1.MFAState_MFA_STATE_UNSPECIFIED:
	}
	return got, nil
}

func badAnswer(what string) error {
	return prterr.New(prterr.Internal, "plug-in: answer is not usable: %s", what)
}

func keyMessage(k partition.Key) *tpmv1.Partition {
	return &tpmv1.Partition{TenantId: string(k.Tenant), UserId: string(k.User), CredentialKind: string(k.Kind)}
}

// cachedMessage gives a PRT in the form in which it is there.
func cachedMessage(p partition.Partition) *cloudapv1.CachedPRT {
	m := &cloudapv1.CachedPRT{Partition: keyMessage(p.Key), SessionKey: &tpmv1.SealedSessionKey{Sealed: p.SealedKey}}
	if len(p.SealedPRT) > 0 {
		m.SealedPrt = &tpmv1.SealedPRT{Sealed: p.SealedPRT}
	} else {
		m.Prt = p.PRT.Reveal()
	}
	return m
}
