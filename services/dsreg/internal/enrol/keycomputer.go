package enrol

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

// identityTime is how a client identity writes its time, in UTC (MS-DVRJ).
const identityTime = "2006-01-02 15:04:05Z"

// computerCertificate has the certificate made that a computer writes to its object
// in the domain, and checks that it is the set's device key's own.
func (k keyring) computerCertificate(ctx context.Context, s state.Keys, computer string) (*x509.Certificate, error) {
	resp, err := k.keys.CreateComputerCertificate(ctx, &tpmv1.CreateComputerCertificateRequest{KeySetId: s.ID, ComputerId: computer})
	if err != nil {
		return nil, err
	}
	der := resp.GetCertificate()
	cert, err := x509.ParseCertificate(der)
	switch {
	case err != nil || len(der) > maxCertificate:
		return nil, badKeys("the computer certificate is not one DER certificate of at most 4 KiB")
	case !bytes.Equal(cert.RawSubjectPublicKeyInfo, s.Device):
		return nil, badKeys("the computer certificate holds another key")
	case cert.Subject.CommonName != computer:
		return nil, badKeys("the computer certificate names another computer")
	case cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil:
		return nil, badKeys("the computer certificate is not self-signed")
	}
	return cert, nil
}

// computerIdentity has "<SID>.<time>" signed with the set's device key.
func (k keyring) computerIdentity(ctx context.Context, s state.Keys, sid string, now time.Time) (identity string, signature []byte, err error) {
	resp, err := k.keys.SignComputerIdentity(ctx, &tpmv1.SignComputerIdentityRequest{KeySetId: s.ID, ComputerSid: sid, UnixTime: now.Unix()})
	if err != nil {
		return "", nil, err
	}
	identity, signature = resp.GetClientIdentity(), resp.GetSignature()
	digest := sha256.Sum256([]byte(identity))
	key, ok := publicKey(s.Device)
	if !ok || identity != sid+"."+now.UTC().Format(identityTime) || rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return "", nil, badKeys("the computer identity has another text, or is not signed with the device key")
	}
	return identity, signature, nil
}

// replacement has the proof signed with which the installed device key puts the keys
// of a pending set in its place.
func (k keyring) replacement(ctx context.Context, set, nonce string) (string, error) {
	resp, err := k.keys.SignKeyReplacement(ctx, &tpmv1.SignKeyReplacementRequest{KeySetId: set, RequestNonce: nonce})
	if err != nil {
		return "", err
	}
	if !within(len(resp.GetRequest()), jose.MaxToken) {
		return "", badKeys("the proof of a replacement is empty or too long")
	}
	return resp.GetRequest(), nil
}
