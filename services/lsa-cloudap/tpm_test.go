package lsacloudap_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// request is what a signed request says, with the name of the key that signed it.
type request struct {
	Kind, Key                          string
	UPN, Password, SAML                string
	PRT, RT, Nonce                     string
	Client, Resource, Redirect, Scopes string
	// Hello is the kid of the Hello key that signed the assertion.
	Hello string
}

// answer is what an encrypted answer says, with the name of the key that opens it.
type answer struct {
	Key                   string
	PRT, JWE, IDToken, RT string
	Life                  int64
	Access, NewPRT        string
}

// fakeTPM signs and opens in the open, but is as strict as the real one about
// which blob belongs to which partition.
type fakeTPM struct {
	tpmv1.UnimplementedPRTKeyServiceServer
	faults
	w     *world
	hello *fakeHello
	data  *fakeDataKeys
}

func seal(p *tpmv1.Partition, key string) []byte {
	return []byte(fmt.Sprintf("sealed|%s|%s|%s|%s", p.GetTenantId(), p.GetUserId(), p.GetCredentialKind(), key))
}

func unseal(p *tpmv1.Partition, k *tpmv1.SealedSessionKey) (string, error) {
	key, ok := strings.CutPrefix(string(k.GetSealed()), string(seal(p, "")))
	if !ok || key == "" {
		return "", prterr.New(prterr.KeysLost, "the session key is not one of this partition")
	}
	return key, nil
}

func (f *fakeTPM) SignPRTRequest(ctx context.Context, r *tpmv1.SignPRTRequestRequest) (*tpmv1.SignPRTRequestResponse, error) {
	if err := f.w.called(ctx, "tpm:SignPRTRequest", &f.faults); err != nil {
		return nil, err
	}
	return &tpmv1.SignPRTRequestResponse{Request: token(request{
		Kind: "prt", Key: "device", UPN: r.GetUserPrincipalName(), Nonce: r.GetRequestNonce(),
		Password: r.GetCredential().GetPassword(), SAML: r.GetCredential().GetSamlAssertion(), RT: r.GetCredential().GetRefreshToken(),
	})}, nil
}

func (f *fakeTPM) SignDeviceCookie(ctx context.Context, r *tpmv1.SignDeviceCookieRequest) (*tpmv1.SignDeviceCookieResponse, error) {
	if err := f.w.called(ctx, "tpm:SignDeviceCookie", &f.faults); err != nil {
		return nil, err
	}
	return &tpmv1.SignDeviceCookieResponse{Cookie: token(request{Kind: "device", Key: "device", Nonce: r.GetRequestNonce()})}, nil
}

func (f *fakeTPM) ImportSessionKey(ctx context.Context, r *tpmv1.ImportSessionKeyRequest) (*tpmv1.ImportSessionKeyResponse, error) {
	if err := f.w.called(ctx, "tpm:ImportSessionKey", &f.faults); err != nil {
		return nil, err
	}
	key, ok := strings.CutPrefix(r.GetSessionKeyJwe(), "jwe.")
	if !ok {
		return nil, prterr.New(prterr.Invalid, "session_key_jwe is malformed")
	}
	return &tpmv1.ImportSessionKeyResponse{SessionKey: &tpmv1.SealedSessionKey{Sealed: seal(r.GetPartition(), key)}}, nil
}

func protect(p *tpmv1.Partition, prt string) []byte {
	return []byte(fmt.Sprintf("prt|%s|%s|%s|", p.GetTenantId(), p.GetUserId(), p.GetCredentialKind()) + base64.StdEncoding.EncodeToString([]byte(prt)))
}

// given is the PRT of a request, in the one form in which it is there.
func given(p *tpmv1.Partition, prt string, sealed *tpmv1.SealedPRT) (string, error) {
	if sealed == nil {
		return prt, nil
	}
	text, ok := strings.CutPrefix(string(sealed.GetSealed()), string(protect(p, "")))
	raw, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || prt != "" {
		return "", prterr.New(prterr.Denied, "sealed_prt is not one of this partition")
	}
	return string(raw), nil
}

func (f *fakeTPM) ProtectPRT(ctx context.Context, r *tpmv1.ProtectPRTRequest) (*tpmv1.ProtectPRTResponse, error) {
	if err := f.w.called(ctx, "tpm:ProtectPRT", &f.faults); err != nil {
		return nil, err
	}
	return &tpmv1.ProtectPRTResponse{SealedPrt: &tpmv1.SealedPRT{Sealed: protect(r.GetPartition(), r.GetPrt())}}, nil
}

func (f *fakeTPM) SignPRTRenewal(ctx context.Context, r *tpmv1.SignPRTRenewalRequest) (*tpmv1.SignPRTRenewalResponse, error) {
	if err := f.w.called(ctx, "tpm:SignPRTRenewal", &f.faults); err != nil {
		return nil, err
	}
	key, err := unseal(r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	prt, err := given(r.GetPartition(), r.GetPrt(), r.GetSealedPrt())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignPRTRenewalResponse{Request: token(request{
		Kind: "renewal", Key: key, UPN: r.GetUserPrincipalName(), Nonce: r.GetRequestNonce(), PRT: prt,
		Password: r.GetCredential().GetPassword(), SAML: r.GetCredential().GetSamlAssertion(),
	})}, nil
}

func (f *fakeTPM) opened(p *tpmv1.Partition, k *tpmv1.SealedSessionKey, sealed string) (answer, error) {
	key, err := unseal(p, k)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if !readToken(sealed, &a) || a.Key != key {
		return answer{}, prterr.New(prterr.Invalid, "the answer does not open")
	}
	return a, nil
}

func (f *fakeTPM) OpenPRTAnswer(ctx context.Context, r *tpmv1.OpenPRTAnswerRequest) (*tpmv1.OpenPRTAnswerResponse, error) {
	if err := f.w.called(ctx, "tpm:OpenPRTAnswer", &f.faults); err != nil {
		return nil, err
	}
	a, err := f.opened(r.GetPartition(), r.GetSessionKey(), r.GetAnswer())
	if err != nil {
		return nil, err
	}
	return &tpmv1.OpenPRTAnswerResponse{Prt: a.PRT, PrtExpiresIn: a.Life, SessionKeyJwe: a.JWE, IdToken: a.IDToken}, nil
}

func (f *fakeTPM) SignTokenRequest(ctx context.Context, r *tpmv1.SignTokenRequestRequest) (*tpmv1.SignTokenRequestResponse, error) {
	if err := f.w.called(ctx, "tpm:SignTokenRequest", &f.faults); err != nil {
		return nil, err
	}
	key, err := unseal(r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	if rt := r.GetRefreshToken(); rt != nil {
		if under, err := f.data.current(r.GetPartition()); err != nil {
			return nil, err
		} else if under != "" && string(rt.GetSealed()) != "rt"+under {
			return nil, prterr.New(prterr.Denied, "refresh_token: it is not usable here")
		}
	}
	prt, err := given(r.GetPartition(), r.GetPrt(), r.GetSealedPrt())
	if err != nil {
		return nil, err
	}
	req := request{
		Kind: "token", Key: key, PRT: prt, RT: string(r.GetRefreshToken().GetSealed()), Nonce: r.GetRequestNonce(),
		Client: r.GetClientId(), Resource: r.GetResource(), Redirect: r.GetRedirectUri(), Scopes: "openid",
	}
	if r.GetRequestNewPrt() {
		req.Scopes = "openid aza"
	}
	return &tpmv1.SignTokenRequestResponse{Request: token(req)}, nil
}

func (f *fakeTPM) OpenTokenAnswer(ctx context.Context, r *tpmv1.OpenTokenAnswerRequest) (*tpmv1.OpenTokenAnswerResponse, error) {
	if err := f.w.called(ctx, "tpm:OpenTokenAnswer", &f.faults); err != nil {
		return nil, err
	}
	a, err := f.opened(r.GetPartition(), r.GetSessionKey(), r.GetAnswer())
	if err != nil {
		return nil, err
	}
	resp := &tpmv1.OpenTokenAnswerResponse{AccessToken: a.Access, ExpiresIn: 3600, IdToken: a.IDToken, NewPrt: a.NewPRT, NewPrtExpiresIn: a.Life}
	if r.GetDiscardRefreshToken() {
		return resp, nil
	}
	under, err := f.data.current(r.GetPartition())
	if err != nil {
		return nil, err
	}
	resp.RefreshToken = &tpmv1.SealedToken{Sealed: []byte("rt" + under)}
	return resp, nil
}

func (f *fakeTPM) SignPRTCookie(ctx context.Context, r *tpmv1.SignPRTCookieRequest) (*tpmv1.SignPRTCookieResponse, error) {
	if err := f.w.called(ctx, "tpm:SignPRTCookie", &f.faults); err != nil {
		return nil, err
	}
	key, err := unseal(r.GetPartition(), r.GetSessionKey())
	if err != nil {
		return nil, err
	}
	prt, err := given(r.GetPartition(), r.GetPrt(), r.GetSealedPrt())
	if err != nil {
		return nil, err
	}
	return &tpmv1.SignPRTCookieResponse{Cookie: token(request{Kind: "cookie", Key: key, PRT: prt, Nonce: r.GetRequestNonce()})}, nil
}

// fakeDsreg says what the device is, and recovers it when it can.
type fakeDsreg struct {
	dsregv1.UnimplementedDeviceStateServiceServer
	dsregv1.UnimplementedRecoveryServiceServer
	faults
	w      *world
	state  dsregv1.JoinState
	tenant string
	// device and member are this device and its membership; set guards them.
	device, member string
	outcome        dsregv1.RecoveryOutcome
	// recovered is what a recovery does.
	recovered func()
}

func (f *fakeDsreg) StartRecovery(ctx context.Context, _ *dsregv1.StartRecoveryRequest) (*dsregv1.StartRecoveryResponse, error) {
	if err := f.w.called(ctx, "dsreg:StartRecovery", &f.faults); err != nil {
		return nil, err
	}
	if f.recovered != nil {
		f.recovered()
	}
	return &dsregv1.StartRecoveryResponse{Outcome: f.outcome}, nil
}

func (f *fakeDsreg) GetDeviceState(ctx context.Context, _ *dsregv1.GetDeviceStateRequest) (*dsregv1.GetDeviceStateResponse, error) {
	if err := f.w.called(ctx, "dsreg:GetDeviceState", &f.faults); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == dsregv1.JoinState_JOIN_STATE_NONE {
		return &dsregv1.GetDeviceStateResponse{JoinState: f.state}, nil
	}
	return &dsregv1.GetDeviceStateResponse{JoinState: f.state, TenantId: cmp.Or(f.tenant, tenant), DeviceId: f.device, MembershipId: f.member}, nil
}
