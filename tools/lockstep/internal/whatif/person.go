package whatif

import (
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

// person is a user with what is in their head and their pockets.
type person struct {
	user     *directoryv1.User
	cloud    *cloud
	password secret.Text
}

func (p *person) name() string { return p.user.GetUserPrincipalName() }

// may reports whether the person has the credential on a device in that state.
func (p *person) may(c Credential, d DeviceState) bool {
	_ = d
	return c == Password && !p.password.Empty()
}
