package adfs

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/services/adfs/internal/org"
)

// signerFile keeps the token-signing key with its certificate, in one file so that
// neither can be there without the other.
const signerFile = "token-signing.pem"

// keptSigner is the token-signing key in the state folder, made there when it is
// missing. One whose certificate has ended is an error and not replaced in silence: the
// cloud has to be told of another one.
func keptSigner(dir string, cfg Config) (Signer, error) {
	if dir == "" {
		return Signer{}, errors.New("keep needs a state folder: give the component one")
	}
	path := filepath.Join(dir, signerFile)
	text, err := durable.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newKeptSigner(path, cfg)
	}
	if err != nil {
		return Signer{}, err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return Signer{}, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return Signer{}, fmt.Errorf("%s: its key cannot sign", path)
	}
	if now := clock.Or(cfg.Clock).Now(); now.After(pair.Leaf.NotAfter) {
		return Signer{}, fmt.Errorf("%s ended on %s: remove it for a new one, and tell the cloud", path, pair.Leaf.NotAfter)
	}
	return Signer{Key: key, Certificate: pair.Leaf}, nil
}

func newKeptSigner(path string, cfg Config) (Signer, error) {
	organisation, err := org.New(org.Config{YAML: cfg.Organisation})
	if err != nil {
		return Signer{}, err
	}
	signer, err := signerOr(nil, organisation.BaseURL(), clock.Or(cfg.Clock))
	if err != nil {
		return Signer{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer.Key)
	if err != nil {
		return Signer{}, fmt.Errorf("token-signing key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Certificate.Raw})...)
	return signer, durable.WriteFile(path, text, nil)
}
