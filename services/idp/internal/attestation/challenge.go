package attestation

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// Lifetime is how long a challenge may be answered. A TPM that is a chip takes
// seconds for keys, and a device may have to ask its user in between.
const Lifetime = 10 * time.Minute

// secretSize is that of a credential's secret, in bytes: the digest of the smallest
// name algorithm, which is the most a credential can carry (Part 1, 24.3).
const secretSize = 32

// Keys are the public keys of a TPM.
type Keys struct {
	// EndorsementKey and AttestationKey are TPMT_PUBLIC.
	EndorsementKey, AttestationKey []byte
	// EndorsementCertificate is DER; empty when the TPM has none.
	EndorsementCertificate []byte
}

// Challenge is what the TPM has to open.
type Challenge struct {
	// Text goes back with the statements.
	Text string
	// CredentialBlob is the contents of a TPM2B_ID_OBJECT, EncryptedSecret that of a
	// TPM2B_ENCRYPTED_SECRET.
	CredentialBlob, EncryptedSecret []byte
}

// content is a challenge as it is sealed.
type content struct {
	Tenant     ids.TenantID     `json:"t"`
	AK         []byte           `json:"a"`
	Secret     []byte           `json:"s"`
	Protection store.Protection `json:"p"`
	Maker      string           `json:"m,omitempty"`
	// Made is in seconds since 1970.
	Made int64 `json:"i"`
}

// mark stands before what is sealed. The sealer seals other rooms' states too, which
// are JSON: none of theirs begins so, and this never reads as one of theirs.
const mark = "attestation challenge 1\x00"

// Challenge makes a credential for the attestation key that only the TPM of the
// endorsement key opens, for a registration at a tenant. Errors are of the kind
// Invalid and name the field: the caller knows its own keys.
func (s *Service) Challenge(home *tenant.Tenant, k Keys) (Challenge, error) {
	ek, encapsulation, err := endorsement(k.EndorsementKey)
	if err != nil {
		return Challenge{}, prterr.New(prterr.Invalid, "endorsement_key is not taken: %v", err)
	}
	ak, _, err := attestationKey(k.AttestationKey)
	if err != nil {
		return Challenge{}, prterr.New(prterr.Invalid, "attestation_key is not taken: %v", err)
	}
	now := s.clock.Now()
	v, err := judge(append(trust(home.Makers), s.makers...), k.EndorsementCertificate, ek.key, now)
	if err != nil {
		return Challenge{}, prterr.New(prterr.Invalid, "endorsement_certificate is not taken: %v", err)
	}
	c := content{Tenant: home.ID, AK: k.AttestationKey, Secret: make([]byte, secretSize), Protection: v.protection, Maker: v.maker, Made: now.Unix()}
	defer clear(c.Secret)
	_, _ = rand.Read(c.Secret) // never fails: crypto/rand ends the process instead
	out := Challenge{}
	if out.CredentialBlob, out.EncryptedSecret, err = tpm2.CreateCredential(rand.Reader, encapsulation, ak.name, c.Secret); err != nil {
		return Challenge{}, prterr.New(prterr.Invalid, "endorsement_key is not taken: no credential can be made for it")
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return Challenge{}, prterr.Wrap(prterr.Internal, err, "the challenge does not encode")
	}
	plain = append([]byte(mark), plain...)
	defer clear(plain)
	out.Text = s.sealer.SealState(plain).Reveal()
	return out, nil
}

// open reads a challenge of ours that is for a tenant and may still be answered.
func (s *Service) open(text string, t ids.TenantID) (content, error) {
	if len(text) > maxChallenge {
		return content{}, reason("challenge: is longer than %d bytes", maxChallenge)
	}
	plain, err := s.sealer.OpenState(secret.NewText(text))
	if err != nil {
		return content{}, reason("challenge: is not one of ours")
	}
	defer clear(plain)
	raw, ours := bytes.CutPrefix(plain, []byte(mark))
	var c content
	if !ours || json.Unmarshal(raw, &c) != nil || len(c.Secret) != secretSize {
		return content{}, reason("challenge: is not one of ours")
	}
	if c.Tenant != t {
		return content{}, reason("challenge: is for another tenant")
	}
	if age := s.clock.Now().Sub(time.Unix(c.Made, 0)); age > Lifetime || age < -time.Minute {
		return content{}, reason("challenge: is older than %v", Lifetime)
	}
	return c, nil
}
