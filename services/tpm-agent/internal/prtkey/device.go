package prtkey

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

const (
	// identityTime is how a computer identity writes its time, in UTC (MS-DVRJ).
	identityTime = "2006-01-02 15:04:05Z"
	// maxSID bounds a security identifier, in bytes.
	maxSID = 184
	// maxTime is the end of the year 9999, in seconds since 1970.
	maxTime = 253402300799
)

// SignKeyReplacement builds the proof with which the installed device key puts the
// keys of a pending set in its place.
func (k *Keys) SignKeyReplacement(ctx context.Context, set, nonce string) (string, error) {
	if err := opaque("request_nonce", nonce, maxNonce); err != nil {
		return "", err
	}
	dk, tk, err := k.store.SetPublics(set)
	if err != nil {
		return "", err
	}
	spki, err := x509.MarshalPKIXPublicKey(dk)
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "device key")
	}
	blob, err := entrawire.MarshalRSA1(tk)
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "transport key")
	}
	payload, err := entrawire.KeyReplacement{
		GrantType: entrawire.GrantKeyReplacement, Iss: entrawire.BrokerIssuer, RequestNonce: nonce, WinVer: entrawire.WinVer,
		DK: entrawire.KeyThumbprint(spki), TK: entrawire.KeyThumbprint(blob),
	}.Encode()
	if err != nil {
		return "", prterr.Wrap(prterr.Internal, err, "key replacement")
	}
	return k.signDevice(ctx, payload)
}

// ComputerCertificate self-signs the certificate that a computer writes to its
// object in its domain (userCertificate). Only its name and key mean anything, so it
// is valid without end (RFC 5280, 4.1.2.5).
func (k *Keys) ComputerCertificate(ctx context.Context, set, computer string) ([]byte, error) {
	id, err := ids.ParseDevice(computer)
	if err != nil {
		return nil, invalid("computer_id", err.Error())
	}
	signer, err := k.store.SetSigner(ctx, set)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails: crypto/rand ends the process instead
	serial[0] &= 0x7f
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: string(id)},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(maxTime, 0), SignatureAlgorithm: x509.SHA256WithRSA,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	return der, signing(err)
}

// ComputerIdentity is the text with which a computer proves its synchronised object,
// and the signature over it (MS-DVRJ, sync-join).
type ComputerIdentity struct {
	Text      string
	Signature []byte
}

// SignComputerIdentity writes "<SID>.<time>" and signs it with the device key of a
// pending set.
func (k *Keys) SignComputerIdentity(ctx context.Context, set, sid string, unixTime int64) (ComputerIdentity, error) {
	if err := checkSID(sid); err != nil {
		return ComputerIdentity{}, err
	}
	if unixTime <= 0 || unixTime > maxTime {
		return ComputerIdentity{}, invalid("unix_time", "must be a time between 1970 and 9999 in seconds")
	}
	signer, err := k.store.SetSigner(ctx, set)
	if err != nil {
		return ComputerIdentity{}, err
	}
	text := sid + "." + time.Unix(unixTime, 0).UTC().Format(identityTime)
	digest := sha256.Sum256([]byte(text))
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	return ComputerIdentity{text, signature}, signing(err)
}

// checkSID takes "S-1-" and numbers with dashes between (MS-DTYP 2.4.2.1). With no
// other letters in it, what is signed can be read as nothing else.
func checkSID(sid string) error {
	bad := errors.New("must be a security identifier such as S-1-5-21-1-2-3-1001")
	rest, ok := strings.CutPrefix(sid, "S-1-")
	if !ok || len(sid) > maxSID {
		return invalid("computer_sid", bad.Error())
	}
	for _, n := range strings.Split(rest, "-") {
		if n == "" || strings.Trim(n, "0123456789") != "" {
			return invalid("computer_sid", bad.Error())
		}
	}
	return nil
}
