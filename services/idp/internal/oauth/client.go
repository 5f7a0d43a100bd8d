package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
)

// How a client proved itself, as the claim appidacr says it.
const (
	provedNothing = iota
	provedSecret
	provedCertificate
)

// identify finds the application in the tenant and has it prove itself.
func (x *exchange) identify(ctx context.Context) error {
	if err := x.find(); err != nil {
		return err
	}
	return x.prove(ctx)
}

func (x *exchange) find() error {
	app, known := x.tenant.Application(x.client)
	if !known {
		return prterr.AADSTS(aadsts.ApplicationNotFound, "")
	}
	x.app = issuance.Client{Application: app}
	switch x.Grant.(type) {
	case Code, RefreshToken:
	default:
		if app.Pages {
			return prterr.AADSTS(aadsts.MissingClientSecret, "the application signs people in at its own pages alone")
		}
	}
	return nil
}

// prove checks the proof of a confidential client; one that has nothing to prove
// with must not pretend. Secrets are long and random, so they are compared and not
// hashed like passwords: a hash that costs a processor 30 ms for each token would
// protect nothing.
func (x *exchange) prove(ctx context.Context) error {
	switch {
	case !x.app.Confidential() && (!x.Secret.Empty() || !x.Assertion.Empty()):
		return prterr.AADSTS(aadsts.PublicClientProof, "")
	case !x.app.Confidential():
		return nil
	case !x.Assertion.Empty():
		x.app.Proof = provedCertificate
		return x.checkAssertion(ctx)
	case x.Secret.Empty():
		return prterr.AADSTS(aadsts.MissingClientSecret, "")
	}
	given, good := sha256.Sum256([]byte(x.Secret.Reveal())), 0
	for _, s := range x.app.Secrets {
		known := sha256.Sum256([]byte(s.Reveal()))
		good |= subtle.ConstantTimeCompare(given[:], known[:])
	}
	if good != 1 {
		return prterr.AADSTS(aadsts.WrongClientSecret, "")
	}
	x.app.Proof = provedSecret
	return nil
}

// confidential refuses a client that has nothing to prove itself with, for grants
// where the application itself is who asks.
func (x *exchange) confidential() error {
	if !x.app.Confidential() {
		return prterr.AADSTS(aadsts.MissingClientSecret, "the application has no secret or certificate registered: it cannot act in its own name")
	}
	return nil
}
