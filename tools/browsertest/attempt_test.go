package browsertest

import "github.com/lockstep-sso/lockstep/tools/browsertest/internal/app"

// attempt is a sign-in under way.
type attempt struct {
	b *browser
	s *app.SignIn
	p *person
}

func (a *attempt) done() app.Tokens {
	a.b.t.Helper()
	return a.b.done(a.s, a.p)
}
