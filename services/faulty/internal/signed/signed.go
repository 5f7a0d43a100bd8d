// Package signed reads what a signed request of a device says of itself: who asks, from
// which device, and for what. Nothing of it is checked: whoever it is for does that. Both
// fronts of a stand-in ask it, for rules about a user or a device.
package signed

import (
	"crypto/x509"
	"encoding/json"

	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// Request is what a signed request says of itself; what it does not say is empty.
type Request struct {
	// User is a user principal name, Device the id in the device certificate.
	User, Device            string
	Grant, Client, Resource string
	// UsesPRT is true for a request under a session key, and not the device key alone.
	UsesPRT bool
}

// Read reads a compact JSON Web Signature; false is none.
func Read(compact string) (Request, bool) {
	var header struct {
		Alg string `json:"alg"`
		X5C x5c    `json:"x5c"`
	}
	var claims struct {
		Grant    string `json:"grant_type"`
		Client   string `json:"client_id"`
		Resource string `json:"resource"`
		Purpose  string `json:"purpose"`
		User     string `json:"username"`
	}
	parts, err := jose.Split(compact, 3)
	if err != nil || !segment(parts[0], &header) || !segment(parts[1], &claims) {
		return Request{}, false
	}
	return Request{
		User: claims.User, Device: header.X5C.name(), Grant: claims.Grant, Client: claims.Client, Resource: claims.Resource,
		UsesPRT: header.Alg == string(jose.HS256) || claims.Purpose == "prt_usage",
	}, true
}

func segment(text string, into any) bool {
	b, err := jose.DecodeSegment(text)
	return err == nil && json.Unmarshal(b, into) == nil
}

// x5c is the certificate in a header, as a string or in a list.
type x5c []byte

// UnmarshalJSON takes the first certificate.
func (x *x5c) UnmarshalJSON(b []byte) error {
	var one []byte
	if json.Unmarshal(b, &one) == nil {
		*x = one
		return nil
	}
	var all [][]byte
	if err := json.Unmarshal(b, &all); err != nil || len(all) == 0 {
		return err
	}
	*x = all[0]
	return nil
}

// name is the device id that a device certificate is for.
func (x x5c) name() string {
	if len(x) == 0 {
		return ""
	}
	cert, err := x509.ParseCertificate(x)
	if err != nil {
		return ""
	}
	return cert.Subject.CommonName
}
