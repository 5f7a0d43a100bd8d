package whatif

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// method is what a credential proves at the desktop, as an authentication strength
// names it.
func (c Credential) method() string {
	return map[Credential]string{
		Password: "password", Hello: "windowsHelloForBusiness", FIDO2: "fido2", PhoneSignIn: "deviceBasedPush",
		AccessPass: "temporaryAccessPassMultiUse", Certificate: "x509CertificateMultiFactor", SmartCard: "federatedMultiFactor",
	}[c]
}

// named is a method of the ledger as a strength names it. The ledger does not tell a
// pass for many uses from one for one, and all passes here are for many.
func (p *person) named(asked string) string {
	switch asked {
	case pageagent.AccessPass:
		return AccessPass.method()
	case pageagent.Certificate:
		return Certificate.method()
	default:
		return asked
	}
}

// carries says whether the request of the cell brought a PRT that counts: that of a
// disabled device does not.
func (k *desk) carries(m Mode) bool {
	return k.desktop == Open && m != Private && k.device.state != Disabled
}

// question is the cell without a sign-in: the facts as an administrator would type
// them in, with what was proven when the cell ended.
func (k *desk) question(c Cell, o Outcome) *directoryv1.EvaluatePoliciesRequest {
	q := &directoryv1.EvaluatePoliciesRequest{
		TenantId: string(k.world.cloud.tenant.ID), UserPrincipalName: c.User, ClientId: c.Client, Resource: c.Resource,
		ClientApp: "browser", Platform: c.Platform, IpAddress: c.From,
	}
	if c.app.Native {
		q.ClientApp = "native"
	}
	if k.carries(c.Mode) {
		q.DeviceId, q.Bound = k.device.id, c.Mode == Native
		q.Methods = []string{k.credential.method()}
	}
	for _, m := range o.Asked {
		if m = k.person.named(m); !slices.Contains(q.GetMethods(), m) {
			q.Methods = append(q.Methods, m)
		}
	}
	return q
}

// sameDemand compares codes. A page says "register a method" where the policy's own
// answer is "prove a second factor" and the person has none that would do: the demand
// is one and the same.
func sameDemand(a, b int) bool {
	factor := []int{int(aadsts.MFARequired), int(aadsts.MFAEnrolmentRequired)}
	return a == b || slices.Contains(factor, a) && slices.Contains(factor, b)
}

// compare asks the identity provider what it says of the cell, and holds that against
// what the cell met. judged are the policies as the sign-in log has them, nil when
// nobody asked them, as when a device is disabled: then there is nothing to compare.
func (k *desk) compare(ctx context.Context, c Cell, o Outcome, judged []Applied) (*Answer, error) {
	if judged == nil {
		return nil, nil
	}
	says, err := k.world.cloud.read.EvaluatePolicies(ctx, k.question(c, o))
	if err != nil {
		return nil, fmt.Errorf("what-if query: %w", err)
	}
	a := &Answer{Code: int(says.GetErrorCode())}
	var differs []string
	met := o.Code
	if o.Result != Refused {
		met = 0
	}
	if !sameDemand(a.Code, met) {
		differs = append(differs, fmt.Sprintf("it says %d, the cell met %d", a.Code, met))
	}
	for _, p := range says.GetPolicies() {
		i := slices.IndexFunc(judged, func(j Applied) bool { return j.Name == p.GetName() })
		if i < 0 || judged[i].Result != p.GetResult() {
			differs = append(differs, fmt.Sprintf("policy %s: it says %s, the log does not", p.GetName(), p.GetResult()))
		}
	}
	if len(says.GetPolicies()) != len(judged) {
		differs = append(differs, fmt.Sprintf("it knows %d policies, the log %d", len(says.GetPolicies()), len(judged)))
	}
	a.Differs, a.Agrees = strings.Join(differs, "; "), len(differs) == 0
	return a, nil
}
