package authorize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/issuance"
	"github.com/lockstep-sso/lockstep/services/idp/internal/sealed"
	"github.com/lockstep-sso/lockstep/services/idp/internal/signinlog"
)

// finish gives the answer: to the application, or to the device that waits.
func (s *Service) finish(ctx context.Context, st *flowstate.State, who someone) (Outcome, error) {
	signIn, err := s.artefact(st, who)
	if err != nil {
		return Outcome{}, err
	}
	defer signIn.SessionKey.Wipe()
	if st.Asked.UserCode != "" {
		if err := s.flows.Approve(ctx, st.Asked.UserCode, signIn); err != nil {
			return s.device(ctx, st, err)
		}
		s.success(ctx, st, who)
		return s.page(ctx, st, flowstate.Over, PageDeviceDone, nil)
	}
	out, err := s.tokens(st, who, signIn)
	if err != nil {
		return Outcome{}, err
	}
	s.success(ctx, st, who)
	return Outcome{SignedIn: out}, nil
}

// freshFactor is the amr value of a second factor of the last ten minutes.
const freshFactor = "ngcmfa"

// artefact is the sign-in as everything that descends from it will repeat it.
func (s *Service) artefact(st *flowstate.State, who someone) (sealed.Artefact, error) {
	p, a := st.Proof, st.Asked
	out := sealed.Artefact{
		Tenant: who.tenant.ID, User: who.user.ID, Client: who.app.ID, SessionID: p.SessionID, Credential: p.Credential, AMR: slices.Clone(p.AMR),
		AuthTime: time.Unix(p.AuthTime, 0), PasswordEpoch: p.PasswordEpoch, SessionEpoch: p.SessionEpoch,
		Details: sealed.Details{
			Scope: a.Scope, RedirectURI: a.RedirectURI, Challenge: a.Challenge, Nonce: a.Nonce, MFATime: p.MFATime, MFAKept: p.MFAKept, Contexts: a.Contexts,
			Used: slices.Clone(p.Used), PassEnds: p.PassEnds,
			SPA: who.app.SPA(a.RedirectURI), Persistent: p.Persistent, CAE: a.CAE,
		},
	}
	// A factor that was proven elsewhere, such as at the sign-in to the device, may be
	// young enough for what is demanded here: then what is issued says so.
	if a.FreshFactor && out.FreshMFA(s.gate.Clock.Now()) && !slices.Contains(out.AMR, freshFactor) {
		out.AMR = append(out.AMR, freshFactor)
	}
	if who.named {
		out.Resource = who.resource.URI
	}
	if who.device != nil {
		out.Device, out.Certificate = who.device.ID, issuance.Fingerprint(*who.device)
	}
	if p.PRT == "" {
		return out, nil
	}
	prt, err := s.gate.Authority.Open(sealed.PRT, secret.NewText(p.PRT))
	if err != nil {
		return sealed.Artefact{}, prterr.AADSTS(aadsts.InvalidGrant, "")
	}
	out.SessionKey, out.KeyMade, out.KDFMin = prt.SessionKey, prt.KeyMade, prt.KDFMin
	out.Protocol, out.Deviceless = prt.Protocol, prt.Deviceless
	out.Encrypted = a.Encrypted && !prt.SessionKey.Empty()
	return out, nil
}

func (s *Service) tokens(st *flowstate.State, who someone, signIn sealed.Artefact) (*SignedIn, error) {
	a := st.Asked
	out := &SignedIn{
		RedirectURI: a.RedirectURI, Mode: a.Mode, State: a.State, SessionState: sessionState(signIn.SessionID), Persistent: signIn.Persistent,
	}
	var err error
	if a.Code {
		if out.Code, err = s.gate.Authority.Code(signIn); err != nil {
			return nil, err
		}
	}
	if a.IDToken {
		out.IDToken, err = s.gate.Authority.WebIDToken(issuance.WebID{
			Tenant: who.tenant, User: who.user, Client: who.app.ID, V2: a.V2, Nonce: a.Nonce, AMR: signIn.AMR, AuthTime: signIn.AuthTime,
			Device: signIn.Device, Code: out.Code, SessionID: signIn.SessionID,
		})
		if err != nil {
			return nil, err
		}
	}
	// A session that goes on keeps its cookie and with it its end, unless a second
	// factor was proven meanwhile.
	if out.SessionCookie = secret.NewText(st.Proof.Cookie); out.SessionCookie.Empty() {
		out.SessionCookie, err = s.gate.Authority.Cookie(signIn)
	}
	return out, err
}

// sessionState names a session to applications without giving it away.
func sessionState(id string) string {
	sum := sha256.Sum256([]byte("session_state|" + id))
	return hex.EncodeToString(sum[:16])
}

// success logs who signed in, and, where another account's PRT told the device,
// whose: both people have to do with what happens next.
func (s *Service) success(ctx context.Context, st *flowstate.State, who someone) {
	e := signinlog.Event{
		Flow: signinlog.WebSignIn, Tenant: who.tenant.ID, User: who.user.UPN, Client: who.app.ID, Correlation: st.Correlation, Detail: st.Detail,
	}
	if who.device != nil {
		e.Device, e.Protection = who.device.ID, string(who.device.KeyProtection)
		if by := st.Device.By; by != "" && by != who.user.UPN {
			e.Reason = "the device was authenticated by the account of " + string(by)
		}
	}
	s.gate.Log.Record(ctx, s.gate.Clock.Now(), e, nil)
}
