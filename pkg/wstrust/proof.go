package wstrust

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// proofPurpose begins every proof text, so that a signature for this purpose is one
// for no other.
const proofPurpose = "Lockstep smart card sign-in, version 1"

// maxChain bounds the certificates of a proof.
const maxChain = 8

// ErrProof says that the signature is not one of the certificate's key over the proof text.
var ErrProof = errors.New("the proof of the certificate's key does not verify")

// CertificateProof proves the key of a user's certificate: what goes to a
// certificatemixed endpoint in place of a password.
//
// AD FS itself takes an XML signature over the Timestamp of the message there (WSS
// X.509 profile 1.1, endorsing token). The card is with LogonUI and the message is made
// elsewhere, so here the card signs a text that both ends make from what they know, and
// that names purpose and user as well: no message of another kind can be made to look
// like it. A provider that is not ours does not take it.
type CertificateProof struct {
	// Chain is DER, the user's certificate first; 1 to 8.
	Chain [][]byte
	// Created is when the proof was made, to the second.
	Created time.Time
	// Signature is RSA PKCS#1 with SHA-256 over ProofText.
	Signature []byte
}

// ProofText is what the key of a smart card signs: purpose, user, and time in UTC to
// the second, a line each.
func ProofText(upn string, created time.Time) []byte {
	return []byte(proofPurpose + "\n" + strings.ToLower(upn) + "\n" + created.UTC().Format(time.RFC3339) + "\n")
}

// SignProof makes a proof with the key of the first certificate.
func SignProof(key crypto.Signer, chain [][]byte, upn string, now time.Time) (CertificateProof, error) {
	p := CertificateProof{Chain: chain, Created: now.UTC().Truncate(time.Second)}
	digest := sha256.Sum256(ProofText(upn, p.Created))
	var err error
	p.Signature, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	return p, err
}

// Verify checks the signature of a proof about a user, with the key of the user's
// certificate. Whether the certificate is to be trusted, and the time right, is for the
// caller to say.
func (p CertificateProof) Verify(key *rsa.PublicKey, upn string) error {
	digest := sha256.Sum256(ProofText(upn, p.Created))
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], p.Signature) != nil {
		return ErrProof
	}
	return nil
}
