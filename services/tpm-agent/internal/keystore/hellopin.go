package keystore

import (
	"context"

	"github.com/google/go-tpm/tpm2"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/internal/tpmio"
)

// VerifyPIN has the TPM judge a PIN and does nothing with the key: the command is
// PolicySecret (TPM 2.0 Part 3, 23.4), which is authorised by the key's value, and
// which counts a wrong one as a signature would. The policy that it adds to belongs
// to a session that ends here, so nothing is allowed by it.
func (s *Store) VerifyPIN(ctx context.Context, u HelloUser, pin secret.Text) error {
	return s.withPIN(ctx, u, pin, "check the PIN", func(c *tpmio.Conn, _ *chip, _ *helloKey, key tpm2.AuthHandle) (err error) {
		session, done, err := tpm2.PolicySession(c, tpm2.TPMAlgSHA256, sessionNonce)
		if err != nil {
			return err
		}
		// A session that stays takes one of three places; the word on the PIN is given
		// already, so that is not the user's trouble.
		defer func() { _ = done() }()
		_, err = tpm2.PolicySecret{AuthHandle: key, PolicySession: session.Handle(), NonceTPM: session.NonceTPM()}.Execute(c)
		return err
	})
}
