package keystore

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // OAEP with SHA-1 is what the transport key does
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// Outcome is how a key did in the self-test.
type Outcome int

// Outcomes. Damaged and Lost both need new keys; Failed needs a working TPM, and
// nothing thrown away.
const (
	Passed Outcome = iota + 1
	Damaged
	Lost
	Failed
)

// TestResult is how one key did.
type TestResult struct {
	Purpose Purpose
	Outcome Outcome
}

// errWrongResult is a key that works and gives what does not fit its public half.
var errWrongResult = errors.New("the key does not fit its public half")

// TestKeys has each key of the installed set do its work once, on data of the
// agent's own.
func (s *Store) TestKeys(ctx context.Context) ([]TestResult, error) {
	set, p, err := s.current()
	if err != nil {
		return nil, err
	}
	var results []TestResult
	for _, k := range set.keys() {
		err := p.run(ctx, use{what: "test the " + k.name, purpose: k.name, set: set.ID}, func(c *tpmio.Conn) error {
			if err := p.same(set); err != nil {
				return lostRoot{err}
			}
			h, err := p.load(c, k.blob)
			if err != nil {
				return err
			}
			return s.try(c, set, k, h)
		})
		if named := prterr.KindOf(err); named == prterr.Deadline || named == prterr.Unavailable {
			return nil, err // nothing is known of this key: the caller asks again
		}
		results = append(results, TestResult{k.purpose, outcome(err)})
	}
	return results, nil
}

// lostRoot marks the loss of the whole TPM among errors of the same kind.
type lostRoot struct{ error }

func (e lostRoot) Unwrap() error { return e.error }

// outcome tells a lost TPM from a damaged key from a TPM that fails: the root is
// compared first, so an integrity error after it is about one blob.
func outcome(err error) Outcome {
	switch kind := prterr.KindOf(err); {
	case err == nil:
		return Passed
	case errors.As(err, new(lostRoot)):
		return Lost
	case errors.Is(err, errWrongResult), kind == prterr.KeysLost, kind == prterr.Denied:
		return Damaged
	default:
		return Failed
	}
}

func (s *Store) try(c *tpmio.Conn, set *keySet, k purposed, h tpm2.TPMHandle) error {
	auth := s.auth(set, k.name)
	defer auth.Wipe()
	data := make([]byte, sha256.Size)
	_, _ = rand.Read(data)
	switch k.purpose {
	case PurposeDevice:
		public, err := k.blob.rsaKey()
		if err != nil {
			return errWrongResult
		}
		signature, err := c.SignRSA(h, auth.Reveal(), data)
		if err == nil && rsa.VerifyPKCS1v15(public, crypto.SHA256, data, signature) != nil {
			return errWrongResult
		}
		return err
	case PurposeTransport:
		public, err := k.blob.rsaKey()
		if err != nil {
			return errWrongResult
		}
		wrapped, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, data, nil)
		if err != nil {
			return errWrongResult
		}
		key, err := k.blob.key(h, auth)
		if err != nil {
			return errWrongResult
		}
		out, err := c.RSADecrypt(key, wrapped)
		if err == nil && subtle.ConstantTimeCompare(out, data) != 1 {
			return errWrongResult
		}
		return err
	default:
		return nil // storage and attestation keys: that the TPM loads them is the test
	}
}
