package main

import (
	"crypto/ecdsa"
	"os"
	"path/filepath"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/images/internal/oci"
	"github.com/lockstep-sso/lockstep/tools/images/internal/sign"
)

// repository is the name of an image in a signature, without the tag.
func (s *shop) repository(name string) string {
	repository, _, _ := strings.Cut(s.reference(name), ":")
	return "docker.io/" + repository
}

// digest is what was written beside an archive, once it is known to be the archive's.
func (s *shop) digest(name string) (string, error) {
	f, err := os.Open(filepath.Join(s.out, name+".tar"))
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return oci.Digest(f)
}

// verify looks into the archive itself: what is beside it may be older.
func (s *shop) verify(key *ecdsa.PublicKey, name string) error {
	digest, err := s.digest(name)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(filepath.Join(s.out, name+".payload.json"))
	if err != nil {
		return err
	}
	signature, err := os.ReadFile(filepath.Join(s.out, name+".sig"))
	if err != nil {
		return err
	}
	return sign.Verify(key, body, signature, s.repository(name), digest)
}
