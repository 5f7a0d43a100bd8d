package aadplugin

import (
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// helloPIN is a Hello key of this device and what opens it.
type helloPIN struct {
	tenant ids.TenantID
	user   ids.UserID
	pin    secret.Text
}

// smartCard is a proof by the key of a smart card.
type smartCard struct {
	chain     [][]byte
	created   time.Time
	signature []byte
}
