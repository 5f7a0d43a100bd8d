package authority

import (
	"context"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority/artefact"
	"github.com/lockstep-sso/lockstep/pkg/authority/freshnonce"
	"github.com/lockstep-sso/lockstep/pkg/authority/signinpage"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/step"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// Managed refuses a user whose password the identity provider does not check, before
// the password goes anywhere.
func (a *Authority) Managed(ctx context.Context, upn ids.UPN) error {
	r, err := call(ctx, a.timeout, a.realms.DiscoverRealm, &idpv1.DiscoverRealmRequest{UserPrincipalName: string(upn)})
	switch {
	case err != nil:
		return Stranger(idpName, err)
	case r.GetAccountType() == idpv1.AccountType_ACCOUNT_TYPE_UNKNOWN:
		return prterr.AADSTS(aadsts.TenantNotFound, "")
	case !strings.EqualFold(r.GetDomainName(), upn.Domain()):
		return BadAnswer(idpName, "domain_name is not the domain of the user")
	case r.GetAccountType() == idpv1.AccountType_ACCOUNT_TYPE_FEDERATED:
		return prterr.New(prterr.Conflict, "the user signs in with a federation provider: its password is not the cloud's")
	case r.GetAccountType() != idpv1.AccountType_ACCOUNT_TYPE_MANAGED:
		return BadAnswer(idpName, "account_type is not known")
	}
	return nil
}

func (a *Authority) nonce(ctx context.Context) (string, error) {
	n, err := call(ctx, a.timeout, a.nonces.IssueNonce, &idpv1.IssueNonceRequest{})
	if err != nil {
		return "", Stranger(idpName, err)
	}
	if !artefact.Opaque(n.GetNonce(), artefact.MaxNonce) {
		return "", BadAnswer(idpName, "nonce is empty, too long or has a character that is not allowed")
	}
	return n.GetNonce(), nil
}

// WithPassword obtains a PRT with the password of a user of the device's tenant.
func (a *Authority) WithPassword(ctx context.Context, tenant ids.TenantID, upn ids.UPN, password secret.Text) (Issued, error) {
	return a.Request(ctx, tenant, upn, KindPassword, &tpmv1.Credential{Kind: &tpmv1.Credential_Password{Password: password.Reveal()}})
}

// Request obtains a PRT of a kind with a credential, in a request that the device key
// signs.
func (a *Authority) Request(ctx context.Context, tenant ids.TenantID, upn ids.UPN, kind string, credential *tpmv1.Credential) (Issued, error) {
	return a.RequestSigned(ctx, tenant, upn, kind, func(ctx context.Context, nonce string) (string, error) {
		r, err := call(ctx, a.timeout, a.keys.SignPRTRequest, &tpmv1.SignPRTRequestRequest{
			UserPrincipalName: string(upn), Credential: credential, RequestNonce: nonce,
		})
		return r.GetRequest(), err
	})
}

// RequestSigned is Request with a request that somebody else has the tpm-agent sign: a
// nonce, the signed request, a PRT (first sign-in, steps C to E).
func (a *Authority) RequestSigned(ctx context.Context, tenant ids.TenantID, upn ids.UPN, kind string, sign func(ctx context.Context, nonce string) (string, error)) (Issued, error) {
	return freshnonce.With(ctx, a.nonce, func(ctx context.Context, nonce string) (Issued, error) {
		return a.requestSigned(ctx, tenant, upn, kind, func(ctx context.Context) (string, error) { return sign(ctx, nonce) })
	})
}

func (a *Authority) requestSigned(ctx context.Context, tenant ids.TenantID, upn ids.UPN, kind string, sign func(context.Context) (string, error)) (Issued, error) {
	request, err := signed(sign(ctx))
	if err != nil {
		return Issued{}, err
	}
	r, err := call(ctx, a.timeout, a.issuance.RequestPRT, &idpv1.RequestPRTRequest{Request: request})
	if err != nil {
		return Issued{}, Stranger(idpName, err)
	}
	if r.GetSessionKeyJwe() == "" {
		return Issued{}, BadAnswer(idpName, "session_key_jwe is missing")
	}
	got, err := issuedPRT{prt: r.GetRefreshToken(), wrapped: r.GetSessionKeyJwe(), idToken: r.GetIdToken(), expiresIn: r.GetRefreshTokenExpiresIn()}.read()
	if err != nil {
		return Issued{}, err
	}
	got.Kind = kind
	return got, got.mustBe(tenant, upn)
}

// Renew obtains a new PRT with the existing one (renewal, steps D to F). Without a
// credential nobody is asked for anything: the PRT and the signature of its session key
// carry the request, and no user is named in it. A PRT that is no good any more is
// prterr.Interaction.
func (a *Authority) Renew(ctx context.Context, c Cached, upn ids.UPN, credential *tpmv1.Credential) (Issued, error) {
	return freshnonce.With(ctx, a.nonce, func(ctx context.Context, nonce string) (Issued, error) {
		return a.renew(ctx, c, upn, credential, nonce)
	})
}

func (a *Authority) renew(ctx context.Context, c Cached, upn ids.UPN, credential *tpmv1.Credential, nonce string) (Issued, error) {
	req := &tpmv1.SignPRTRenewalRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Prt: c.PRT.Reveal(), SealedPrt: c.sealedPRT(), RequestNonce: nonce, Credential: credential,
	}
	if credential != nil {
		req.UserPrincipalName = string(upn)
	}
	renewal, err := call(ctx, a.timeout, a.keys.SignPRTRenewal, req)
	request, err := signed(renewal.GetRequest(), err)
	if err != nil {
		return Issued{}, err
	}
	answer, err := call(ctx, a.timeout, a.issuance.RenewPRT, &idpv1.RenewPRTRequest{Request: request})
	if err != nil {
		return Issued{}, Spent(Stranger(idpName, err))
	}
	if !artefact.Opaque(answer.GetAnswer(), artefact.MaxToken) {
		return Issued{}, BadAnswer(idpName, "it is not a compact token")
	}
	opened, err := call(ctx, a.timeout, a.keys.OpenPRTAnswer, &tpmv1.OpenPRTAnswerRequest{
		Partition: c.partition(), SessionKey: c.sessionKey(), Answer: answer.GetAnswer(),
	})
	if err != nil {
		return Issued{}, err
	}
	got, err := issuedPRT{prt: opened.GetPrt(), wrapped: opened.GetSessionKeyJwe(), idToken: opened.GetIdToken(), expiresIn: opened.GetPrtExpiresIn()}.read()
	if err != nil {
		return Issued{}, err
	}
	// A user may have been renamed since; the object id stays.
	if !got.Is(c.Key) {
		return Issued{}, prterr.New(prterr.Denied, "%s: the renewed PRT is for another user or tenant", idpName)
	}
	got.Kind = c.Kind
	return got, nil
}

// Import has the TPM take the session key of a PRT, and gives it back sealed.
func (a *Authority) Import(ctx context.Context, k Key, wrapped string) ([]byte, error) {
	r, err := call(ctx, a.timeout, a.keys.ImportSessionKey, &tpmv1.ImportSessionKeyRequest{Partition: k.partition(), SessionKeyJwe: wrapped})
	if err != nil {
		return nil, err
	}
	if n := len(r.GetSessionKey().GetSealed()); n == 0 || n > artefact.MaxSealedKey {
		return nil, BadAnswer(tpmName, "the sealed session key is empty or too long")
	}
	return r.GetSessionKey().GetSealed(), nil
}

// Protect has the tpm-agent seal a PRT, as it is kept: in memory and on disk there is no
// other form of it from here on.
func (a *Authority) Protect(ctx context.Context, k Key, prt secret.Text) ([]byte, error) {
	r, err := call(ctx, a.timeout, a.keys.ProtectPRT, &tpmv1.ProtectPRTRequest{Partition: k.partition(), Prt: prt.Reveal()})
	if err != nil {
		return nil, err
	}
	if n := len(r.GetSealedPrt().GetSealed()); n == 0 || n > artefact.MaxSealedPRT {
		return nil, BadAnswer(tpmName, "the sealed PRT is empty or too long")
	}
	return r.GetSealedPrt().GetSealed(), nil
}

// Validate finds out whether a PRT is good for a user and a session key (app token,
// step D): it is redeemed at the identity provider, signed with that session key. A
// forged PRT, or one with another session key, does not pass there; one of another
// user does not pass here.
func (a *Authority) Validate(ctx context.Context, offered Cached) error {
	// The redemption is part of step D, not a second step C of the trace.
	ctx = step.In(ctx, "")
	sealed, err := freshnonce.With(ctx, a.nonce, func(ctx context.Context, nonce string) (*idpv1.RedeemPRTResponse, error) {
		request, err := a.SignToken(ctx, offered, TokenRequest{Client: entrawire.BrokerClientID, RedirectURI: signinpage.BrokerRedirect, Nonce: nonce})
		if err != nil {
			return nil, err
		}
		sealed, err := call(ctx, a.timeout, a.tokens.RedeemPRT, &idpv1.RedeemPRTRequest{Request: request})
		return sealed, Stranger(idpName, err)
	})
	if err != nil {
		return err
	}
	if !artefact.Opaque(sealed.GetAnswer(), artefact.MaxToken) {
		return BadAnswer(idpName, "it is not a compact token")
	}
	answer, err := a.OpenAccess(ctx, offered, entrawire.BrokerClientID, sealed.GetAnswer())
	if err != nil {
		return err
	}
	who, err := ReadIDToken(answer.GetIdToken())
	if err != nil {
		return err
	}
	if !who.Is(offered.Key) {
		return prterr.New(prterr.Denied, "the offered PRT belongs to another user or tenant")
	}
	return nil
}
