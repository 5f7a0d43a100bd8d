package attestation

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// SecretOf lets a test look into a challenge: the credential's secret and whose TPM
// it is for.
func (s *Service) SecretOf(t testing.TB, text string, tenant ids.TenantID) ([]byte, store.Protection) {
	t.Helper()
	c, err := s.open(text, tenant)
	if err != nil {
		t.Fatal(err)
	}
	return c.Secret, c.Protection
}

// Sealed is a challenge as it was made once.
func (s *Service) Sealed(t testing.TB, tenant ids.TenantID, ak, secret []byte, made time.Time) string {
	t.Helper()
	plain, err := json.Marshal(content{Tenant: tenant, AK: ak, Secret: secret, Protection: store.ProtectionEmulated, Made: made.Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return s.sealer.SealState(append([]byte(mark), plain...)).Reveal()
}
