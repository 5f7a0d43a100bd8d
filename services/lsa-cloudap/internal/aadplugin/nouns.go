package aadplugin

import (
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// cached is a PRT with the session key that belongs to it. The PRT is there in one
// form, as the caller gave it.
type cached struct {
	key       partition.Key
	prt       secret.Text
	sealedPRT *tpmv1.SealedPRT
	sealed    []byte
}

// proof is what the user proves their identity with: a password toward the
// identity provider, an assertion that a federation provider gave, or the broker's
// refresh token from a sign-in page. The zero value is no proof: a renewal with nobody
// at the keyboard.
type proof struct {
	password, assertion, refreshToken secret.Text
}

// helloPIN is a Hello key of this device and what opens it.
type helloPIN struct {
	tenant ids.TenantID
	user   ids.UserID
	pin    secret.Text
}

// smartCard is a proof by the key of a smart card.
type smartCard struct {
	chain     [][]byte
	created   time.Time
	signature []byte
}

// issued is a PRT as it came, its session key still wrapped.
type issued struct {
	identity
	// kind of the partition it is for.
	kind partition.Kind
	prt  secret.Text
	life time.Duration
	// wrappedKey is empty when the existing session key stays.
	wrappedKey string
}

// tokenRequest is what an app-token request depends on.
type tokenRequest struct {
	client       ids.ClientID
	resource     string
	redirectURI  string
	nonce        string
	refreshToken []byte // sealed; nil redeems the PRT
	newPRT       bool
}
