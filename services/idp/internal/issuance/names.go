package issuance

import (
	"encoding/json"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// Issuers are the names under which tokens of a tenant are issued, in versions
// 1.0 and 2.0.
func Issuers(t ids.TenantID) [2]string {
	return [2]string{issuer(t), "https://login.microsoftonline.com/" + string(t) + "/v2.0"}
}

// Subject is the claim sub of a user's ID tokens for an application.
func Subject(t ids.TenantID, client ids.ClientID, user ids.UserID) string {
	return pairwise(t, string(client), user)
}

// Memory is what we remember for ourselves in the claim aio of a user's access
// token: the state of the user that it was issued in. Resources do not read it.
type Memory struct {
	Credential    sealed.Credential `json:"r"`
	PasswordEpoch uint64            `json:"p"`
	SessionEpoch  uint64            `json:"e"`
	// Certificate is the fingerprint of the device certificate, or empty.
	Certificate []byte `json:"c,omitempty"`
}

// remembered is the claim aio of what descends from an artefact.
func remembered(from sealed.Artefact, device bool) string {
	m := Memory{Credential: from.Credential, PasswordEpoch: from.PasswordEpoch, SessionEpoch: from.SessionEpoch}
	if device {
		m.Certificate = from.Certificate[:]
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return "" // strings and numbers: cannot fail
	}
	return jose.EncodeSegment(raw)
}
