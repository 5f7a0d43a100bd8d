package authorize

import (
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/services/idp/internal/flowstate"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/store"
)

// Methods are the second factors of a user: the one that the user chose is the
// default, or else the one that comes first here, what asks least.
func Methods(u store.User, now time.Time) []Method {
	var out []Method
	add := func(has bool, id, display string) {
		if has {
			out = append(out, Method{ID: id, Display: display, Default: id == u.DefaultMethod})
		}
	}
	phone := MaskedPhone(u.Phone)
	add(len(u.Push) > 0, methods.IDPush, "Authenticator app")
	add(u.SignsInByPhone(), methods.IDPhoneSignIn, "Authenticator app, phone sign-in")
	add(!u.TOTPSecret.Empty(), methods.IDCode, "Code of an authenticator app")
	add(u.Phone != "", methods.IDSMS, "Text "+phone)
	add(u.Phone != "", methods.IDVoice, "Call "+phone)
	add(len(u.Passkeys) > 0, methods.IDPasskey, "Passkey or security key")
	add(u.AccessPass.Usable(now), methods.IDAccessPass, "Temporary Access Pass")
	for _, m := range out {
		if m.Default {
			return out
		}
	}
	if len(out) > 0 {
		out[0].Default = true
	}
	return out
}

// MaskedPhone shows a telephone number to who may not be its owner yet: its last two
// digits, as the public service does.
func MaskedPhone(number string) string {
	if len(number) < 4 {
		return ""
	}
	cc, rest, found := strings.Cut(number, " ")
	if !found {
		cc, rest = "+", number[1:]
	}
	rest = strings.ReplaceAll(rest, " ", "")
	if len(rest) < 2 {
		return ""
	}
	return "+" + strings.Repeat("X", len(cc)-1) + " " + strings.Repeat("X", len(rest)-2) + rest[len(rest)-2:]
}

// Application is the name of what is signed in to, as the user's tenant has it.
func (s *Service) Application(st *flowstate.State, t ids.TenantID) string {
	at, p := *st, Page{}
	if t != "" {
		at.Proof.Tenant = t
	}
	s.dress(&at, &p)
	return p.Application
}
