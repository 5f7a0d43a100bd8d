package securityinfo

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/idp/internal/methods"
	"github.com/lockstep-sso/lockstep/services/idp/internal/passkey"
)

// Life is how long a registration may take.
const Life = 10 * time.Minute

// registration is one under way. It is sealed, so the person's client carries it and
// cannot read it.
type registration struct {
	ID     string         `json:"i"`
	Tenant ids.TenantID   `json:"t"`
	User   ids.UserID     `json:"u"`
	Kind   methods.Method `json:"k"`
	// Made is in seconds since 1970.
	Made int64  `json:"m"`
	Name string `json:"n,omitempty"`
	// Secret of one-time codes, Phone with the Code that was sent there, the code that
	// an authenticator takes, or the challenge of a passkey: by kind.
	Secret  string            `json:"s,omitempty"`
	Phone   string            `json:"p,omitempty"`
	Code    string            `json:"c,omitempty"`
	Passkey passkey.Challenge `json:"w,omitzero"`
}

// sealedAs has a name that no other sealed state has, so that none passes for another.
type sealedAs struct {
	SecurityInfo *registration `json:"security_info"`
}

func (s *Service) begin(p person, kind methods.Method, name string) *registration {
	return &registration{
		ID: uuid.NewString(), Tenant: p.User.Tenant, User: p.User.ID, Kind: kind, Name: name, Made: s.cfg.Clock.Now().Unix(),
	}
}

func (s *Service) seal(r *registration) (secret.Text, error) {
	plain, err := json.Marshal(sealedAs{r})
	if err != nil {
		return secret.Text{}, prterr.Wrap(prterr.Internal, err, "the registration cannot be kept")
	}
	defer clear(plain)
	return s.cfg.Sealer.SealState(plain), nil
}

// open opens a registration of a person, by one error for all that can be wrong.
func (s *Service) open(p person, text secret.Text) (*registration, error) {
	over := prterr.New(prterr.Invalid, "registration is not one that you began in the last %d minutes: begin again", int(Life/time.Minute))
	plain, err := s.cfg.Sealer.OpenState(text)
	if err != nil {
		return nil, over
	}
	defer clear(plain)
	var in sealedAs
	if json.Unmarshal(plain, &in) != nil || in.SecurityInfo == nil {
		return nil, over
	}
	r := in.SecurityInfo
	age := s.cfg.Clock.Now().Sub(time.Unix(r.Made, 0))
	if r.User != p.User.ID || r.Tenant != p.User.Tenant || age > Life || age < -time.Minute {
		return nil, over
	}
	return r, nil
}

// once uses a registration up.
func (s *Service) once(ctx context.Context, r *registration) error {
	made := time.Unix(r.Made, 0)
	first, err := s.cfg.Replays.UseOnce(ctx, sha256.Sum256([]byte("security-info|"+r.ID)), made, made.Add(Life))
	if err == nil && !first {
		err = prterr.New(prterr.Conflict, "registration was used already: begin again")
	}
	return err
}
