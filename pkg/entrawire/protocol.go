package entrawire

import (
	"net/url"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/jose"
)

// Protocol is the version of the PRT protocol.
type Protocol int

// The versions. 2 is MS-OAPXBC, as Windows and Linux speak it. 3 is the same on
// the endpoint v2.0, from macOS and Android. In 4 there is no session key: the
// device key, on P-256, signs every request, and answers are encrypted to it.
const (
	Protocol2 Protocol = 2
	Protocol3 Protocol = 3
	Protocol4 Protocol = 4
)

// purposePRTUsage is the purpose claim of a request that uses a PRT in version 4.
const purposePRTUsage = "prt_usage"

const (
	shapeCrypto = "jwe_crypto"
	ecdhAlg     = "ECDH-ES"
	ecdhEnc     = "A256GCM"
	// maxParty bounds what a client says about itself in apv, in base64url characters.
	maxParty = 1024
)

// JWECrypto is the member jwe_crypto of a version 4 request: how the answer is to
// be encrypted. There is one way, so it only tells APV.
type JWECrypto struct {
	// APV is base64url; it goes into the derivation of the answer's key.
	APV string
	// Alg is ECDH-ES, Enc A256GCM.
	Alg, Enc string
}

// NewJWECrypto asks for the one form of answer that there is.
func NewJWECrypto(apv string) JWECrypto { return JWECrypto{APV: apv, Alg: ecdhAlg, Enc: ecdhEnc} }

func (j *JWECrypto) members() []member {
	return []member{{name: "apv", value: &j.APV}, {name: "alg", value: &j.Alg}, {name: "enc", value: &j.Enc}}
}

// Encode writes the object.
func (j JWECrypto) Encode() ([]byte, error) { return encode(shapeCrypto, j.members()) }

// UnmarshalJSON reads the object strictly.
func (j *JWECrypto) UnmarshalJSON(data []byte) error { return decodeAs(shapeCrypto, data, j) }

func (j JWECrypto) check(c *checker) {
	c.require(j.Alg == ecdhAlg && j.Enc == ecdhEnc, "jwe_crypto", "does not ask for ECDH-ES with A256GCM")
	_, err := jose.DecodeSegment(strings.TrimRight(j.APV, "="))
	c.require(err == nil && len(j.APV) <= maxParty, "jwe_crypto", "has an apv that is not base64url of up to 1024 characters")
}

// ValidateFor checks the form for a version of the protocol. Version 2 is
// Validate; 4 also demands jwe_crypto.
func (r PRTRequest) ValidateFor(p Protocol) error {
	if err := r.Validate(); err != nil || p != Protocol4 {
		return err
	}
	c := checker{shape: shapePRTRequest}
	r.JWECrypto.check(&c)
	return c.err
}

// ValidateFor checks the form for a version of the protocol. In versions 3 and 4
// the issuer is the broker's client id, the audience a token endpoint, and the
// scope names the resource.
func (r SessionRequest) ValidateFor(p Protocol) error {
	if p != Protocol3 && p != Protocol4 {
		return r.Validate()
	}
	c := checker{shape: shapeSessionRequest}
	c.require(strings.TrimSpace(r.Scope) != "", "scope", "is missing")
	_, err := ids.ParseClient(r.Iss)
	c.require(err == nil, "iss", "is not the client id of the broker")
	c.require(r.Aud == "" || isTokenEndpoint(r.Aud), "aud", "is not the address of a token endpoint")
	if p == Protocol4 {
		r.JWECrypto.check(&c)
		c.require(r.Purpose == purposePRTUsage, "purpose", "is not prt_usage")
	}
	r.checkCommon(&c)
	return c.err
}

// isTokenEndpoint takes any host: clients have names of their own for ours, and
// what binds the request to us is the key and the nonce.
func isTokenEndpoint(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && strings.HasSuffix(strings.ToLower(u.Path), "/oauth2/v2.0/token")
}
