package tenant_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/services/idp/internal/attestation/attestationtest"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// withMakers is the small file with makers of TPMs; each line is indented as part of
// the list.
func withMakers(lines string) []byte {
	return []byte(strings.Replace(small, "    domains:\n", "    attestation:\n      roots:\n"+lines+"    domains:\n", 1))
}

func pemLines(text []byte) string {
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString("            " + line)
	}
	return out.String()
}

func TestREG26_MakersOfTheTenantFile(t *testing.T) {
	chips, emulators := attestationtest.NewMaker("chips").PEM(), attestationtest.NewMaker("emulators").PEM()
	path := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(path, append(chips, attestationtest.NewMaker("more").PEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := tenant.Parse(withMakers("        - name: Chips\n          maker: hardware\n          file: " + path + "\n        - name: Lab\n          maker: emulated\n          pem: |\n" + pemLines(emulators)))
	if err != nil {
		t.Fatal(err)
	}
	makers := s.All()[0].Makers
	if len(makers) != 2 || makers[0].Name != "Chips" || makers[0].Kind != tenant.MakesHardware || len(makers[0].Certificates) != 2 ||
		makers[1].Kind != tenant.MakesEmulated || len(makers[1].Certificates) != 1 {
		t.Errorf("%+v", makers)
	}
	if !s.All()[0].NativeSessionKeys {
		t.Error("native session keys are off without a word")
	}
}

func TestMakersThatAreNotTaken(t *testing.T) {
	good := pemLines(attestationtest.NewMaker("m").PEM())
	rogue := attestationtest.NewRogue(t, attestationtest.NewMaker("m"))
	dir := t.TempDir()
	leaf, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"leaf.pem": pemOf("CERTIFICATE", leaf), "ek.pem": pemOf("CERTIFICATE", rogue.Certificate), "key.pem": pemOf("PRIVATE KEY", []byte("canary")), "bad.pem": pemOf("CERTIFICATE", []byte("canary")),
		"empty.pem": nil, "large.pem": make([]byte, 257<<10), "text.pem": []byte("canary"),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string {
		return "        - name: M\n          maker: hardware\n          file: " + filepath.Join(dir, name) + "\n"
	}
	for name, c := range map[string]struct{ lines, field string }{
		"no name":               {"        - maker: hardware\n          pem: |\n" + good, "attestation.roots[0].name"},
		"no kind":               {"        - name: M\n          pem: |\n" + good, "attestation.roots[0].maker is not one of hardware and emulated"},
		"another kind":          {"        - name: M\n          maker: software\n          pem: |\n" + good, "attestation.roots[0].maker"},
		"no certificate":        {"        - name: M\n          maker: hardware\n", "attestation.roots[0].pem or file must be there"},
		"both":                  {"        - name: M\n          maker: hardware\n          file: x\n          pem: |\n" + good, "attestation.roots[0].pem or file"},
		"another field":         {"        - name: M\n          maker: hardware\n          trust: all\n          pem: |\n" + good, ""},
		"no PEM":                {"        - name: M\n          maker: hardware\n          pem: canary\n", "attestation.roots[0].pem is not certificates in PEM"},
		"no file":               {file("none.pem"), "attestation.roots[0].file is not a file that can be read here"},
		"a folder":              {file(""), "attestation.roots[0].file is not a file"},
		"a device":              {"        - name: M\n          maker: hardware\n          file: /dev/zero\n", "attestation.roots[0].file is not a file"},
		"a large file":          {file("large.pem"), "attestation.roots[0].file is not a file of at most"},
		"an empty file":         {file("empty.pem"), "attestation.roots[0].file is not certificates"},
		"no certificates in it": {file("text.pem"), "attestation.roots[0].file is not certificates"},
		"a private key":         {file("key.pem"), "attestation.roots[0].file holds something other than certificates"},
		"a broken certificate":  {file("bad.pem"), "attestation.roots[0].file holds as number 1 what is not"},
		"a server's":            {file("leaf.pem"), "attestation.roots[0].file holds as number 1 the certificate of nobody who issues"},
		"a TPM's":               {file("ek.pem"), "attestation.roots[0].file holds as number 1 the certificate of nobody who issues"},
		"twice":                 {"        - name: M\n          maker: hardware\n          pem: |\n" + good + "        - name: N\n          maker: emulated\n          pem: |\n" + good, "attestation.roots[1].pem has a certificate that stands before"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tenant.Parse(withMakers(c.lines))
			if err == nil || !strings.Contains(err.Error(), "line ") || !strings.Contains(err.Error(), c.field) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v: want %s", err, c.field)
			}
		})
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
