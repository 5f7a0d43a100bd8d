package authorize

import (
	"context"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
)

// maxPRTs bounds the accounts of one visit.
const maxPRTs = 10

// found is who is there already.
type found struct {
	proof  flowstate.Proof
	device flowstate.Device
	// stale says that a PRT cookie or a device header was good but for its nonce:
	// whoever sent it can send a better one.
	stale bool
	// ambiguous says that the PRT and the session cookie are of two users and the
	// application did not say which one it means.
	ambiguous bool
}

// candidate is a PRT cookie before it is verified: whose PRT it holds is sure,
// because that is sealed; that the device itself sent it is not.
type candidate struct {
	text    secret.Text
	tenant  ids.TenantID
	user    ids.UserID
	primary bool
	// signsIn is false for one that can tell the device and no more: its user is
	// not the one that is asked for.
	signsIn bool
	// known is false for what holds no PRT of ours; it is verified last, for the log.
	known bool
}

// identify looks at the headers, then at the session cookie. A PRT proves user
// and device; a device header the device; a session cookie of a sign-in by
// password the user. Of several accounts the one that the application hints at
// counts, else the first one of the tenant that says it is primary.
func (s *Service) identify(ctx context.Context, st *flowstate.State, c Credentials, ssoNonce string) (found, error) {
	var f found
	cookie, err := s.cookieProof(ctx, st, c.Cookie)
	if err != nil {
		return f, err
	}
	all := s.candidates(ctx, st, c.PRTs)
	if first := slices.IndexFunc(all, func(p candidate) bool { return p.signsIn }); first >= 0 && cookie.Known() && st.Asked.Hint == "" {
		if f.ambiguous = !sameUser(all[first].tenant, all[first].user, cookie); f.ambiguous {
			return f, nil
		}
	}
	for _, one := range all {
		p, dev, err := s.prtProof(ctx, st, one.text, ssoNonce, c.Cookie)
		switch {
		case broken(err):
			return f, err
		case err != nil:
			f.stale = f.stale || prterr.CodeOf(err) == aadsts.InvalidNonce
			continue
		}
		f.device, f.stale = dev, f.stale && !one.signsIn && !st.Asked.Fresh
		if one.signsIn {
			f.proof = p
		}
		break
	}
	if f.device.ID == "" && !c.Device.Empty() {
		dev, err := s.deviceProof(ctx, st, c.Device)
		if broken(err) {
			return f, err
		}
		f.device, f.stale = dev, f.stale || prterr.CodeOf(err) == aadsts.InvalidNonce
	}
	if !f.proof.Known() {
		f.proof = cookie
	} else if sameUser(f.proof.Tenant, f.proof.User, cookie) {
		f.proof.SessionID = cookie.SessionID
	}
	return f, nil
}

// candidates puts the PRT cookies in the order in which they are tried. Those of
// another tenant than the one that is asked for are left out: a second tenant's
// account tells nothing about this one.
func (s *Service) candidates(ctx context.Context, st *flowstate.State, texts []secret.Text) []candidate {
	var out []candidate
	for _, text := range texts[:min(len(texts), maxPRTs)] {
		one := s.peek(text)
		if one.known {
			if !s.eligible(st, one.tenant) {
				continue
			}
			one.signsIn = !st.Asked.Fresh && s.hinted(ctx, st, one.tenant, one.user)
		}
		out = append(out, one)
	}
	rank := func(c candidate) int {
		switch {
		case c.signsIn && c.primary:
			return 0
		case c.signsIn:
			return 1
		case c.known:
			return 2
		default:
			return 3
		}
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return rank(a) - rank(b) })
	return out
}

func (s *Service) peek(text secret.Text) candidate {
	one := candidate{text: text}
	t, err := jose.Parse(text.Reveal())
	if err != nil {
		return one
	}
	var c entrawire.Cookie
	if err := t.Claims(&c); err != nil {
		return one
	}
	prt, err := s.gate.Authority.Open(sealed.PRT, c.RefreshToken)
	if err != nil {
		return one
	}
	prt.SessionKey.Wipe()
	one.known, one.tenant, one.user, one.primary = true, prt.Tenant, prt.User, c.IsPrimary
	return one
}

// eligible reports whether users of a tenant are asked for: it is the one of the
// path, if that names one, and the application is registered there.
func (s *Service) eligible(st *flowstate.State, id ids.TenantID) bool {
	if st.Asked.Tenant != "" && st.Asked.Tenant != id {
		return false
	}
	t, ok := s.gate.Tenants.Tenant(id)
	if !ok {
		return false
	}
	app, known := t.Application(st.Asked.Client)
	return known && (st.Asked.UserCode != "" || app.Redirects(st.Asked.RedirectURI))
}

// hinted reports whether a user is the one of login_hint. A hint that is no user
// name hints at nobody.
func (s *Service) hinted(ctx context.Context, st *flowstate.State, t ids.TenantID, id ids.UserID) bool {
	want, err := ids.ParseUPN(st.Asked.Hint)
	if err != nil {
		return true
	}
	u, err := s.gate.Directory.User(ctx, t, id)
	return err == nil && u.UPN == want
}

// broken reports whether an error is ours and not about what was sent.
func broken(err error) bool {
	switch prterr.KindOf(err) {
	case prterr.Internal, prterr.Deadline, prterr.Unavailable:
		return true
	default:
		return false
	}
}
