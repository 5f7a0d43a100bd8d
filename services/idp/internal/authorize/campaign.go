package authorize

import (
	"context"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/grants"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

const day = 24 * time.Hour

// campaign asks a person without any second factor to register one although nothing
// demands it, where the tenant wants that (Microsoft Entra, "registration campaign").
// It can be put off until the days since the first time are over. Who comes with a PRT
// or a session is not at a page, and whoever goes to the security information is about
// to do what is asked. 50203.
func (s *Service) campaign(ctx context.Context, st *flowstate.State, who someone) (Outcome, bool, error) {
	p := st.Proof
	switch {
	case who.tenant.CampaignDays == 0, len(grants.Registered(who.user)) > 0, p.MFATime != 0, p.PRT != "", p.Cookie != "":
		return Outcome{}, false, nil
	case who.resource.Is(tenant.SecurityInfoResource):
		return Outcome{}, false, nil
	}
	now, began := s.gate.Clock.Now(), who.user.CampaignBegan
	if began.IsZero() {
		var err error
		if began, err = s.gate.Directory.BeginCampaign(ctx, who.user.Tenant, who.user.ID, now); err != nil {
			return Outcome{}, false, err
		}
	}
	left := began.Add(time.Duration(who.tenant.CampaignDays) * day).Sub(now)
	if left > 0 && st.Later {
		return Outcome{}, false, nil
	}
	why := prterr.AADSTS(aadsts.AuthenticatorPrompt, "")
	s.log(ctx, st, &st.Proof, why)
	o, err := s.page(ctx, st, flowstate.Register, PageRegister, why)
	if o.Page != nil {
		o.Page.RegisterURL, o.Page.RegisterDaysLeft = securityInfo, max(0, int((left+day-1)/day))
	}
	return o, true, err
}
