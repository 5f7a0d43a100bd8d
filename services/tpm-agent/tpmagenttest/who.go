package tpmagenttest

import (
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
)

// authorities has both components that may be the authority of the PRT use the keys
// of a registered, a joined, and again a registered device: the certificate says whose
// turn it is, the other one is refused, and what one imported is of no use to the other.
func (a *Agent) authorities(t *testing.T) {
	const cloudAP, wam = "lsa-cloudap", "wam-broker"
	for _, turn := range []struct {
		join      entrawire.JoinType
		may, must string
	}{{entrawire.JoinRegistered, wam, cloudAP}, {entrawire.JoinJoined, cloudAP, wam}, {entrawire.JoinRegistered, wam, cloudAP}} {
		id := a.RegisterAs(turn.join)
		key := a.wrapped(t, id)
		sealed, failed := a.uses(t, turn.may, key, nil)
		for what, err := range failed {
			if err != nil {
				t.Errorf("join type %s: %s as %s: %v", turn.join, what, turn.may, err)
			}
		}
		_, refused := a.uses(t, turn.must, key, sealed)
		for what, err := range refused {
			if prterr.KindOf(err) != prterr.Denied {
				t.Errorf("join type %s: %s as %s: %v", turn.join, what, turn.must, err)
			}
		}
	}
	id := a.Create()
	if err := a.Install(id, CertificateOf(t, id.DeviceKey, "")); err == nil {
		for _, caller := range []string{cloudAP, wam} {
			_, refused := a.uses(t, caller, a.anyKey(t, id), nil)
			for what, err := range refused {
				if prterr.KindOf(err) != prterr.Denied {
					t.Errorf("a certificate that says nothing: %s as %s: %v", what, caller, err)
				}
			}
		}
	} else if !a.Native {
		t.Error(err)
	}
}

func (a *Agent) wrapped(t *testing.T, id Identity) string {
	jwe, err := a.Wrap(id, secret.NewBytes(random(32)))
	if err != nil {
		t.Fatal(err)
	}
	return jwe
}

// anyKey is a session key for a set that was not attested.
func (a *Agent) anyKey(t *testing.T, id Identity) string {
	jwe, err := entrawire.SealSessionKey(id.Transport, secret.NewBytes(random(32)))
	if err != nil {
		t.Fatal(err)
	}
	return jwe
}

// uses tries what only the authority of the PRT may do, with the session key that is
// given or else the one that was imported.
func (a *Agent) uses(t *testing.T, caller, wrapped string, sealed *tpmv1.SealedSessionKey) (*tpmv1.SealedSessionKey, map[string]error) {
	keys, tried := tpmv1.NewPRTKeyServiceClient(a.Dial(caller)), map[string]error{}
	_, tried["request"] = keys.SignPRTRequest(t.Context(), &tpmv1.SignPRTRequestRequest{
		UserPrincipalName: "a@b.test", RequestNonce: nonce, Credential: password("x"),
	})
	_, tried["device cookie"] = keys.SignDeviceCookie(t.Context(), &tpmv1.SignDeviceCookieRequest{RequestNonce: nonce})
	var imported *tpmv1.ImportSessionKeyResponse
	imported, tried["import"] = keys.ImportSessionKey(t.Context(), &tpmv1.ImportSessionKeyRequest{Partition: Partition(UserA), SessionKeyJwe: wrapped})
	if sealed == nil {
		sealed = imported.GetSessionKey()
	}
	_, tried["cookie"] = keys.SignPRTCookie(t.Context(), &tpmv1.SignPRTCookieRequest{
		Partition: Partition(UserA), SessionKey: sealed, Prt: prt, RequestNonce: nonce,
	})
	_, tried["token request"] = keys.SignTokenRequest(t.Context(), &tpmv1.SignTokenRequestRequest{
		Partition: Partition(UserA), SessionKey: sealed, ClientId: clientID, Resource: resource, RedirectUri: "ms-appx-web://x/y", RequestNonce: nonce,
		Grant: &tpmv1.SignTokenRequestRequest_Prt{Prt: prt},
	})
	return sealed, tried
}
