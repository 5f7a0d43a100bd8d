package directory

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// BeginCampaign notes that a user is asked to register a second factor without need, and
// says when that was the first time.
func (d *Directory) BeginCampaign(ctx context.Context, t ids.TenantID, id ids.UserID, now time.Time) (time.Time, error) {
	began := now
	err := d.store.UpdateUser(ctx, t, id, func(u *store.User) error {
		if u.CampaignBegan.IsZero() {
			u.CampaignBegan = now.UTC()
		}
		began = u.CampaignBegan
		return nil
	})
	return began, named(err, "user")
}

// Factors are the second factors that an operator gives a user.
type Factors struct {
	// TOTP is base32; empty is no one-time codes.
	TOTP secret.Text
	// Push is an authenticator that approves, PhoneSignIn lets it sign in by itself.
	Push, PhoneSignIn bool
	// Phone is +CC NUMBER, or empty.
	Phone string
	// Default is asked for first, by the name that clients know, or empty.
	Default string
}

// SetUserMethods replaces the second factors of a user. Authenticators that there
// are stay when there is to be one.
func (d *Directory) SetUserMethods(ctx context.Context, upn ids.UPN, f Factors, now time.Time) error {
	if problem := tenant.TOTPProblem(f.TOTP.Reveal()); problem != "" {
		return prterr.New(prterr.Invalid, "totp_secret %s", problem)
	}
	if problem := tenant.PhoneProblem(f.Phone); problem != "" {
		return prterr.New(prterr.Invalid, "phone_number %s", problem)
	}
	if f.PhoneSignIn && !f.Push {
		return prterr.New(prterr.Invalid, "phone_sign_in needs an authenticator: set push as well")
	}
	return d.changeUser(ctx, upn, func(u *store.User) error {
		if !u.TOTPSecret.Equal(f.TOTP) {
			u.TOTPSecret, u.TOTPAdded = f.TOTP, now
		}
		if u.Phone != f.Phone {
			u.Phone, u.PhoneAdded = f.Phone, now
		}
		switch {
		case !f.Push:
			u.Push = nil
		case len(u.Push) == 0:
			u.Push = []store.Authenticator{{ID: uuid.NewString(), Name: tenant.StandardAuthenticator, Added: now}}
		}
		for i := range u.Push {
			u.Push[i].PhoneSignIn = f.PhoneSignIn
		}
		return SetDefault(u, f.Default)
	})
}

// SetUserRisk sets what a risk engine would say of a user.
func (d *Directory) SetUserRisk(ctx context.Context, upn ids.UPN, risk string) error {
	if problem := tenant.RiskProblem(risk); problem != "" || risk == "" {
		return prterr.New(prterr.Invalid, "risk is not none, low, medium or high")
	}
	return d.changeUser(ctx, upn, func(u *store.User) error {
		if u.Risk = risk; risk == "none" {
			u.Risk = ""
		}
		return nil
	})
}

// WriteHelloKey writes a Windows Hello key into the record of a user, beside those
// that there are. A key that a device registered is never put away by one that was
// written; the same key is not taken twice.
func (d *Directory) WriteHelloKey(ctx context.Context, upn ids.UPN, key store.HelloKey) error {
	return d.changeUser(ctx, upn, func(u *store.User) error {
		for _, k := range u.HelloKeys {
			if k.KeyID == key.KeyID {
				return prterr.New(prterr.Conflict, "key is one that the user has already")
			}
		}
		if len(u.HelloKeys) >= maxHelloKeys {
			return prterr.New(prterr.Exhausted, "the user has %d Windows Hello keys: remove one", maxHelloKeys)
		}
		u.HelloKeys = append(u.HelloKeys, key)
		return nil
	})
}

// maxHelloKeys bounds the keys that are written for a user; every one is one device's.
const maxHelloKeys = 200

// ChangeMethods lets a room change what a user proves who they are with; an error of
// change is returned and nothing is written.
func (d *Directory) ChangeMethods(ctx context.Context, t ids.TenantID, user ids.UserID, change func(*store.User) error) error {
	return named(d.store.UpdateUser(ctx, t, user, func(u *store.User) error {
		if err := change(u); err != nil {
			return err
		}
		keepDefault(u)
		return nil
	}), "user")
}

// Method is one way of a user to prove who they are.
type Method struct {
	// ID names it among the user's.
	ID   string
	Kind methods.Method
	// Display is a name or a number, for the person and for operators only.
	Display string
	Added   time.Time
	Default bool
	// Device and Provenance are of a Windows Hello key.
	Device     ids.DeviceID
	Provenance store.Provenance
}

// holding is one kind of methods: what a user has of it, and how one goes.
type holding struct {
	list func(u store.User) []Method
	// remove says whether there was one of that id.
	remove func(u *store.User, id string) bool
}

// holdings are every kind of methods that can be removed. A password is none.
func holdings() []holding {
	return []holding{oneTimeCodes(), authenticators(), phones(), accessPasses(), passkeys(), helloKeys()}
}

// The ids of methods of which a user has at most one.
const (
	idTOTP  = "totp"
	idPhone = "phone"
	idPass  = "access-pass"
)

func oneTimeCodes() holding {
	return holding{
		list: func(u store.User) []Method {
			if u.TOTPSecret.Empty() {
				return nil
			}
			return []Method{{ID: idTOTP, Kind: methods.SoftwareOATH, Display: "Codes of an authenticator app", Added: u.TOTPAdded}}
		},
		remove: func(u *store.User, id string) bool {
			had := id == idTOTP && !u.TOTPSecret.Empty()
			if had {
				u.TOTPSecret, u.TOTPAdded = secret.Text{}, time.Time{}
			}
			return had
		},
	}
}

func authenticators() holding {
	return holding{
		list: func(u store.User) []Method {
			var out []Method
			for _, a := range u.Push {
				kind := methods.Push
				if a.PhoneSignIn {
					kind = methods.PhoneSignIn
				}
				out = append(out, Method{ID: a.ID, Kind: kind, Display: a.Name, Added: a.Added})
			}
			return out
		},
		remove: func(u *store.User, id string) bool {
			n := len(u.Push)
			u.Push = slices.DeleteFunc(u.Push, func(a store.Authenticator) bool { return a.ID == id })
			return len(u.Push) < n
		},
	}
}

func phones() holding {
	return holding{
		list: func(u store.User) []Method {
			if u.Phone == "" {
				return nil
			}
			return []Method{{ID: idPhone, Kind: methods.SMS, Display: u.Phone, Added: u.PhoneAdded}}
		},
		remove: func(u *store.User, id string) bool {
			had := id == idPhone && u.Phone != ""
			if had {
				u.Phone, u.PhoneAdded = "", time.Time{}
			}
			return had
		},
	}
}

func accessPasses() holding {
	return holding{
		list: func(u store.User) []Method {
			p := u.AccessPass
			if len(p.Hash) == 0 {
				return nil
			}
			m := Method{ID: idPass, Kind: passMethod(p), Display: "until " + p.Expires.UTC().Format(time.RFC3339), Added: p.Issued}
			if p.OneTime && p.Used {
				m.Display = "used"
			}
			return []Method{m}
		},
		remove: func(u *store.User, id string) bool {
			had := id == idPass && len(u.AccessPass.Hash) > 0
			if had {
				u.AccessPass = store.AccessPass{}
			}
			return had
		},
	}
}

// passkeys are named by their credential id, base64url.
func passkeys() holding {
	name := base64.RawURLEncoding.EncodeToString
	return holding{
		list: func(u store.User) []Method {
			var out []Method
			for _, k := range u.Passkeys {
				out = append(out, Method{ID: name(k.ID), Kind: methods.FIDO2, Display: k.Name, Added: k.Added})
			}
			return out
		},
		remove: func(u *store.User, id string) bool {
			n := len(u.Passkeys)
			u.Passkeys = slices.DeleteFunc(u.Passkeys, func(k store.Passkey) bool { return name(k.ID) == id })
			return len(u.Passkeys) < n
		},
	}
}

func helloKeys() holding {
	return holding{
		list: func(u store.User) []Method {
			var out []Method
			for _, k := range u.HelloKeys {
				out = append(out, Method{
					ID: k.KID, Kind: methods.WindowsHello, Display: "Windows Hello", Added: k.Created, Device: k.Device, Provenance: k.Origin(),
				})
			}
			return out
		},
		remove: func(u *store.User, id string) bool {
			n := len(u.HelloKeys)
			u.HelloKeys = slices.DeleteFunc(u.HelloKeys, func(k store.HelloKey) bool { return k.KID == id })
			return len(u.HelloKeys) < n
		},
	}
}

// MethodsOf lists what a user has, in the order in which it was added; what the
// tenant file brought comes first.
func MethodsOf(u store.User) []Method {
	var out []Method
	for _, h := range holdings() {
		out = append(out, h.list(u)...)
	}
	first := true
	for i := range out {
		out[i].Default = first && out[i].answers(u.DefaultMethod)
		first = first && !out[i].Default
	}
	slices.SortStableFunc(out, func(a, b Method) int { return a.Added.Compare(b.Added) })
	return out
}

// RemoveMethod removes a method of a user. What was obtained with it stays good: to
// end that too is RevokeSessions.
func (d *Directory) RemoveMethod(ctx context.Context, upn ids.UPN, id string) error {
	return d.changeUser(ctx, upn, func(u *store.User) error {
		if !RemoveFrom(u, id) {
			return prterr.New(prterr.NotFound, "method_id names no method of the user: list them with ListUserMethods")
		}
		return nil
	})
}

// RemoveFrom takes a method from a user record and says whether it was there.
func RemoveFrom(u *store.User, id string) bool {
	for _, h := range holdings() {
		if h.remove(u, id) {
			keepDefault(u)
			return true
		}
	}
	return false
}

// SetDefault chooses the second factor that is asked for first; empty chooses none.
func SetDefault(u *store.User, id string) error {
	if u.DefaultMethod = id; id == "" {
		return nil
	}
	if keepDefault(u); u.DefaultMethod == "" {
		return prterr.New(prterr.Invalid, "default_method is not a second factor that the user has")
	}
	return nil
}

// keepDefault forgets a default that the user has no more.
func keepDefault(u *store.User) {
	if !slices.ContainsFunc(MethodsOf(*u), func(m Method) bool { return m.answers(u.DefaultMethod) }) {
		u.DefaultMethod = ""
	}
}

// answers says whether a page can ask for the method by that name: a telephone is
// called as well, and an authenticator that signs in by itself approves as well.
func (m Method) answers(id string) bool {
	switch m.Kind {
	case methods.SMS:
		return id == methods.IDSMS || id == methods.IDVoice
	case methods.PhoneSignIn:
		return id == methods.IDPush || id == methods.IDPhoneSignIn
	default:
		return id != "" && id == m.Kind.ID()
	}
}
