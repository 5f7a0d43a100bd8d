package tenant_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// withAuthorities is the small file with certificate authorities, each line indented
// as part of the list.
func withAuthorities(lines string) []byte {
	return []byte(strings.Replace(small, "    domains:\n", "    certificate_authorities:\n"+lines+"    domains:\n", 1))
}

func TestCertificateAuthoritiesOfTheTenantFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, attestationtest.NewMaker("a").PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := tenant.Parse(withAuthorities("      - {name: A, file: " + path + "}\n      - name: B\n        multi_factor: true\n        user_binding: rfc822\n        pem: |\n" + pemLines(attestationtest.NewMaker("b").PEM())))
	if err != nil {
		t.Fatal(err)
	}
	a := s.All()[0].CertificateAuthorities
	if len(a) != 2 || a[0].Name != "A" || a[0].MultiFactor || a[0].Binding != tenant.BindUPN || len(a[0].Certificates) != 1 || !a[1].MultiFactor || a[1].Binding != tenant.BindRFC822 {
		t.Errorf("%+v", a)
	}
	for want, lines := range map[string]string{
		"name":                     "      - {file: " + path + "}\n",
		"user_binding":             "      - {name: A, user_binding: cn, file: " + path + "}\n",
		"pem":                      "      - {name: A}\n",
		"not a file":               "      - {name: A, file: /nowhere}\n",
		"not certificates":         "      - {name: A, pem: x}\n",
		"stands before":            "      - {name: A, file: " + path + "}\n      - {name: B, file: " + path + "}\n",
		"more than 64 authorities": strings.Repeat("      - {name: A}\n", 65),
	} {
		if _, err := tenant.Parse(withAuthorities(lines)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
