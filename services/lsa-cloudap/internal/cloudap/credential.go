package cloudap

import (
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	cloudapv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/cloudap/v1"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/hello"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

// Credential is what somebody signs in to the device with: exactly one kind.
type Credential struct {
	Password secret.Text
	// PIN of the user's Windows Hello key.
	PIN secret.Text
	// Page that ended.
	Page *PageEnd
	// Card of the user.
	Card *SmartCard
	// Other is the CLSID of a credential provider that is not known here: what it gave
	// is not even kept.
	Other string
}

// PageEnd is a page, by its name, with the address that it ended at.
type PageEnd struct {
	ID, Final secret.Text
}

// SmartCard is a proof by the key of a smart card; pkg/wstrust has its form.
type SmartCard struct {
	Chain     [][]byte
	Created   time.Time
	Signature []byte
}

// proof is a credential as the plug-in takes it. The zero value is none: a renewal
// with nobody at the keyboard.
type proof struct {
	password secret.Text
	hello    *helloPIN
	page     *pageEnd
	card     *SmartCard
	other    string
}

// helloPIN is the key of a user and what opens it.
type helloPIN struct {
	user hello.User
	pin  secret.Text
}

// pageEnd is the end of a page with the plug-in's own state of it.
type pageEnd struct {
	state []byte
	final secret.Text
	// hint is the name that the page was begun for, or empty.
	hint ids.UPN
}

func (p proof) empty() bool {
	return p.password.Empty() && p.hello == nil && p.page == nil && p.card == nil && p.other == ""
}

// cached reports whether this device can judge the credential by itself.
func (p proof) cached() bool { return p.page == nil && p.card == nil && p.other == "" }

// resolve turns a credential into what the plug-in takes, and finds the partition that
// lets in from the cache, nil when only the identity provider can.
func (c *CloudAP) resolve(upn ids.UPN, cred Credential) (proof, *entry, error) {
	switch {
	case cred.Page != nil:
		i, err := c.take(cred.Page.ID, nil, cloudapv1.PagePurpose_PAGE_PURPOSE_SIGN_IN)
		return proof{page: &pageEnd{state: i.state, final: cred.Page.Final, hint: i.hint}}, nil, err
	case cred.Other != "":
		return proof{other: cred.Other}, nil, nil
	case cred.Card != nil:
		return proof{card: cred.Card}, nil, nil
	case !cred.PIN.Empty():
		r, ok := c.helloOf(upn)
		if !ok {
			// A PIN without a key would have to open a kept password: there is none, and
			// there must not be one.
			return proof{}, nil, noHello()
		}
		e := c.byUPN(upn, partition.Hello)
		if e != nil && (e.key.Tenant != r.Tenant || e.key.User != r.User.User) {
			e = nil
		}
		return proof{hello: &helloPIN{user: r.User, pin: cred.PIN}}, e, nil
	default:
		e := c.byUPN(upn, partition.Password)
		if e != nil {
			if p, ok := e.snapshot(); !ok || p.Verifier.Empty() {
				e = nil // the password was typed at a page only, so far
			}
		}
		return proof{password: cred.Password}, e, nil
	}
}

func noHello() error {
	return prterr.New(prterr.NotFound, "there is no Windows Hello key for this user on this device, and a PIN alone opens nothing: sign in another way and set up Windows Hello")
}

// needsNetwork says of a sign-in that failed for want of a network that it can never
// do without.
func needsNetwork(p proof, err error) error {
	if k := prterr.KindOf(err); p.cached() || k != prterr.Unavailable && k != prterr.Deadline {
		return err
	}
	return prterr.Wrap(prterr.KindOf(err), err, "this way to sign in needs the network each time: %s", message(err))
}
