package sealed

import (
	"encoding/json"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/secret"
)

// content is an artefact as it is sealed. Names are short because every use of a
// PRT carries them over the network.
type content struct {
	Type        Type         `json:"y"`
	Tenant      ids.TenantID `json:"t"`
	User        ids.UserID   `json:"u"`
	Device      ids.DeviceID `json:"d"`
	Certificate []byte       `json:"c"`
	Client      ids.ClientID `json:"a"`
	SessionID   string       `json:"s"`
	SessionKey  []byte       `json:"k"`
	KeyMade     int64        `json:"n"`
	Credential  Credential   `json:"r"`
	AMR         []string     `json:"m"`
	AuthTime    int64        `json:"w"`
	KDFMin      int          `json:"v"`
	PwdEpoch    uint64       `json:"p"`
	SessEpoch   uint64       `json:"e"`
	Issued      int64        `json:"i"`
	Expires     int64        `json:"x"`
	Details     Details      `json:"z,omitzero"`
}

func (a Artefact) encode() ([]byte, error) {
	return json.Marshal(content{
		a.Type, a.Tenant, a.User, a.Device, a.Certificate[:], a.Client, a.SessionID, a.SessionKey.Reveal(), a.KeyMade.UnixMilli(), a.Credential, a.AMR,
		a.AuthTime.UnixMilli(), a.KDFMin, a.PasswordEpoch, a.SessionEpoch, a.Issued.UnixMilli(), a.Expires.UnixMilli(), a.Details,
	})
}

// decode reads what encode wrote. The bytes were authenticated before, so this
// guards against our own mistakes between versions only.
func decode(b []byte) (Artefact, error) {
	var c content
	if err := json.Unmarshal(b, &c); err != nil || len(c.Certificate) != 32 || len(c.SessionKey) != 0 && len(c.SessionKey) != 32 {
		return Artefact{}, ErrArtefact
	}
	return Artefact{
		Type: c.Type, Tenant: c.Tenant, User: c.User, Device: c.Device, Certificate: [32]byte(c.Certificate), Client: c.Client,
		SessionID: c.SessionID, SessionKey: secret.NewBytes(c.SessionKey), KeyMade: time.UnixMilli(c.KeyMade), Credential: c.Credential, AMR: c.AMR,
		AuthTime: time.UnixMilli(c.AuthTime), KDFMin: c.KDFMin, PasswordEpoch: c.PwdEpoch, SessionEpoch: c.SessEpoch,
		Issued: time.UnixMilli(c.Issued), Expires: time.UnixMilli(c.Expires),
		Details: c.Details,
	}, nil
}
