// Package freshnonce has a request made again, with another nonce, when the identity
// provider refuses the nonce that it gave just now.
//
// A good nonce may be refused (AADSTS140000): it was given by another replica, or was too
// long on the way. A nonce is free and the refusal is not about the user, so nobody is told.
// What makes requests with nonces calls it; it decides nothing else.
package freshnonce

import (
	"context"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
)

// Tries is how many nonces are tried for one request: where one in twenty good ones is
// refused at random, one request in 160,000 fails.
const Tries = 4

// With fetches a nonce and uses it, again with another one as long as it is refused, at
// most Tries times. The last answer stands.
func With[T any](ctx context.Context, fetch func(context.Context) (string, error), use func(ctx context.Context, nonce string) (T, error)) (T, error) {
	for try := 1; ; try++ {
		nonce, err := fetch(ctx)
		if err != nil {
			var none T
			return none, err
		}
		got, err := use(ctx, nonce)
		if prterr.CodeOf(err) != aadsts.InvalidNonce || try == Tries || ctx.Err() != nil {
			return got, err
		}
	}
}
