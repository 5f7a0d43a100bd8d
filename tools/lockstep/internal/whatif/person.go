package whatif

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"slices"
	"strings"
	"sync"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
)

// person is a user with what is in their head and their pockets.
type person struct {
	user     *directoryv1.User
	cloud    *cloud
	password secret.Text
	// pin of Windows Hello, the same on every device as people have it.
	pin secret.Text
	// phoneSignIn says that the authenticator signs in without a password.
	phoneSignIn bool
	// holds is what the simulation has given the person: pass, passkey, certificate.
	holds       []Credential
	pass        secret.Text
	passkey     pageagent.Signer
	certificate *x509.Certificate

	// pocket is held by the one sign-in at a time that may reach for the telephone: of
	// two messages that came at once nobody could say which is for which.
	pocket sync.Mutex
}

func (p *person) name() string { return p.user.GetUserPrincipalName() }

// local is the name before the @.
func (p *person) local() string {
	local, _, _ := strings.Cut(p.name(), "@")
	return local
}

// has reports whether one of the methods is registered, by the ids that clients know.
func (p *person) has(methods ...string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return slices.Contains(p.user.GetMethods(), m) })
}

// may reports whether the person has the credential on a device in that state.
func (p *person) may(c Credential, d DeviceState) bool {
	switch c {
	case Password:
		return !p.password.Empty()
	case Hello: // set up beforehand, which takes a second factor, and a device to keep it
		return d.joined() && !p.password.Empty() && len(p.spare()) > 0
	case PhoneSignIn:
		return p.phoneSignIn
	default:
		return slices.Contains(p.holds, c)
	}
}

// spare are the methods that the person has beside the password, by their names in
// the ledger, what asks least first.
func (p *person) spare() []string {
	var all []string
	for _, m := range []struct {
		name string
		has  bool
	}{
		{pageagent.Push, p.has("PhoneAppNotification")}, {pageagent.SMS, p.has("OneWaySMS")}, {pageagent.Voice, p.has("TwoWayVoiceMobile")},
		{pageagent.SoftwareOATH, p.has("PhoneAppOTP")}, {pageagent.PhoneSignIn, p.phoneSignIn}, {pageagent.FIDO2, slices.Contains(p.holds, FIDO2)},
		{pageagent.Certificate, slices.Contains(p.holds, Certificate)}, {pageagent.AccessPass, slices.Contains(p.holds, AccessPass)},
	} {
		if m.has {
			all = append(all, m.name)
		}
	}
	return all
}

// first is what the person types or shows first at a page. Windows Hello and the
// smart card are for the device: at a page it is the password.
func (c Credential) first() string {
	switch c {
	case FIDO2:
		return pageagent.FIDO2
	case PhoneSignIn:
		return pageagent.PhoneSignIn
	case AccessPass:
		return pageagent.AccessPass
	case Certificate:
		return pageagent.Certificate
	default:
		return pageagent.Password
	}
}

// before is the person at a page, who begins with a credential and proves more with
// what asks least. Only narrows what the person takes; nil is everything.
func (p *person) before(c Credential, only []string) pageagent.Person {
	likes := append([]string{c.first(), pageagent.Password}, p.spare()...)
	if only != nil {
		likes = only
	}
	return pageagent.Person{
		Name: p.name(), Password: p.password, Prefer: likes, Code: p.code, Approve: p.telephone().Approve,
		AccessPass: p.pass, Passkey: p.passkey, Certificate: p.certificate != nil, Consents: true,
	}
}

// reach waits until no other sign-in of the person needs the telephone or the security
// key, which counts its answers, and returns what to do afterwards.
func (p *person) reach() func() {
	if !p.has("OneWaySMS", "PhoneAppOTP") && !slices.Contains(p.holds, FIDO2) {
		return func() {}
	}
	p.pocket.Lock()
	return p.pocket.Unlock
}

// code looks a code up on the telephone.
func (p *person) code(ctx context.Context, method string) (secret.Text, error) {
	if method == pageagent.SoftwareOATH {
		if err := p.anew(ctx); err != nil {
			return secret.Text{}, err
		}
	}
	return p.telephone().Code(ctx, method)
}

func (p *person) telephone() actor.Telephone {
	return actor.Telephone{UPN: p.name(), Person: p.cloud.people, Read: p.cloud.read}
}

// anew gives an authenticator that shows codes another secret: a code is good once, and
// the next one would be half a minute away. Who has more than that authenticator looks
// at it so seldom that there is no need.
func (p *person) anew(ctx context.Context) error {
	if len(p.user.GetMethods()) != 1 {
		return nil
	}
	_, err := p.cloud.admin.SetUserMethods(ctx, &directoryv1.SetUserMethodsRequest{UserPrincipalName: p.name(), TotpSecret: rand.Text()})
	return err
}
