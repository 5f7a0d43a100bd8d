package front

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

func (f *Front) registrationRoutes() []route {
	at := func(methods, template string, s func(*exchange) error) route {
		return route{at: atRegistration, methods: methods, template: template, serve: s, fail: failRegistration}
	}
	return []route{
		at("GET", "/{t}/Discover", (*exchange).discover),
		at("POST", "/EnrollmentServer/device", (*exchange).enrol),
		at("PUT", "/EnrollmentServer/device/{id}", (*exchange).enrolHybrid),
		at("DELETE", "/EnrollmentServer/device/{id}", (*exchange).removeDevice),
		at("POST", "/EnrollmentServer/key", (*exchange).enrolKey),
		at("GET", "/EnrollmentServer/nonce/{t}", (*exchange).registrationNonce),
		// Ours: Entra has no such places, and says so with 404.
		at("POST", "/EnrollmentServer/lockstep/attestation", (*exchange).attestationChallenge),
		at("POST", "/EnrollmentServer/lockstep/keys", (*exchange).replaceKeys),
		at("POST", "/EnrollmentServer/lockstep/device", (*exchange).checkDevice),
		at("GET", "/EnrollmentServer/lockstep/pinreset", (*exchange).pinResetKey),
		at("POST", "/EnrollmentServer/lockstep/pinreset", (*exchange).openResetSecret),
	}
}

// enrolment is the body of a registration. Windows before version 3.0 of the
// interface sends TransportKey, Apple's devices DeviceKeys.
type enrolment struct {
	CertificateRequest struct {
		Type string `json:"Type"`
		Data string `json:"Data"`
	} `json:"CertificateRequest"`
	TransportKey string `json:"TransportKey"`
	DeviceKeys   []struct {
		Data     string `json:"Data"`
		Encoding string `json:"Encoding"`
		Type     string `json:"Type"`
		Usage    string `json:"Usage"`
	} `json:"DeviceKeys"`
	TargetDomain      string                     `json:"TargetDomain"`
	DeviceType        string                     `json:"DeviceType"`
	OSVersion         string                     `json:"OSVersion"`
	DeviceDisplayName string                     `json:"DeviceDisplayName"`
	JoinType          json.RawMessage            `json:"JoinType"`
	Attributes        map[string]json.RawMessage `json:"Attributes"`
	ServerAdJoinData  *hybridData                `json:"ServerAdJoinData"`
	// Attestation is ours; no other client sends it.
	Attestation *attestation `json:"LockstepAttestation"`
	// Replaces is ours too: the device that this one takes the place of.
	Replaces string `json:"LockstepReplaces"`
}

// hybridData is about a device whose object came from on-premises.
type hybridData struct {
	TransportKey      string `json:"TransportKey"`
	TargetDomain      string `json:"TargetDomain"`
	DeviceType        string `json:"DeviceType"`
	OSVersion         string `json:"OSVersion"`
	DeviceDisplayName string `json:"DeviceDisplayName"`
	TargetDomainID    string `json:"TargetDomainId"`
	ClientIdentity    struct {
		Type       string `json:"Type"`
		Sid        string `json:"Sid"`
		SignedBlob string `json:"SignedBlob"`
	} `json:"ClientIdentity"`
}

// csr is the certificate request, DER.
func (e *enrolment) csr() ([]byte, error) {
	if !strings.EqualFold(e.CertificateRequest.Type, "pkcs10") {
		return nil, prterr.New(prterr.Invalid, "CertificateRequest.Type is not pkcs10")
	}
	return decodeField("CertificateRequest.Data", e.CertificateRequest.Data)
}

// attribute reads a truth value, which some clients write as a string.
func (e *enrolment) attribute(name string) bool {
	for k, v := range e.Attributes {
		if strings.EqualFold(k, name) {
			return strings.EqualFold(strings.Trim(string(v), `"`), "true")
		}
	}
	return false
}

// joinType reads the kind of registration, a number or a string with one.
func (e *enrolment) joinType() (idpv1.JoinType, error) {
	n, err := strconv.Atoi(strings.Trim(string(e.JoinType), `"`))
	if err != nil || n < 0 || n > 8 {
		return 0, prterr.New(prterr.Invalid, "JoinType is not 0, 4, 6 or 8")
	}
	t := idpv1.JoinType(n + 1)
	if _, known := idpv1.JoinType_name[int32(t)]; !known {
		return 0, prterr.New(prterr.Invalid, "JoinType is not 0, 4, 6 or 8")
	}
	return t, nil
}

// transportKey is the key as a blob or as a JSON Web Key.
func transportKey(e *enrolment) (blob []byte, key string, err error) {
	for _, k := range e.DeviceKeys {
		if strings.EqualFold(k.Usage, "STK") && strings.EqualFold(k.Encoding, "JWK") {
			return nil, k.Data, nil
		}
	}
	raw, err := decodeField("TransportKey", e.TransportKey)
	if err != nil {
		return nil, "", err
	}
	if len(raw) > 0 && raw[0] == '{' && clean(string(raw)) {
		return nil, string(raw), nil
	}
	return raw, "", nil
}

func decodeField(name, s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil, prterr.New(prterr.Invalid, "%s is not base64", name)
	}
	return b, nil
}

// bearer is the token in the Authorization header.
func (x *exchange) bearer() (string, error) {
	scheme, token, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" || !clean(token) {
		return "", prterr.New(prterr.Unauthenticated, "the request has no access token: send the header Authorization: Bearer")
	}
	return token, nil
}

// enrolled is the answer of a registration.
type enrolled struct {
	Certificate struct {
		Thumbprint string `json:"Thumbprint"`
		RawBody    string `json:"RawBody"`
	} `json:"Certificate"`
	User struct {
		UPN string `json:"Upn"`
	} `json:"User"`
	MembershipChanges []membershipChange `json:"MembershipChanges,omitempty"`
	// Keys are ours, for who sent an attestation.
	Keys *keyState `json:"LockstepKeys,omitempty"`
	// Replaced is ours: the device of LockstepReplaces is gone.
	Replaced bool `json:"LockstepReplaced,omitempty"`
}

type membershipChange struct {
	LocalSID string   `json:"LocalSID"`
	AddSIDs  []string `json:"AddSIDs"`
}

func newEnrolled(certificate []byte, thumbprint, upn string) enrolled {
	var e enrolled
	e.Certificate.Thumbprint, e.Certificate.RawBody = thumbprint, base64.StdEncoding.EncodeToString(certificate)
	e.User.UPN = upn
	return e
}

func (x *exchange) enrol() error {
	token, err := x.bearer()
	if err != nil {
		return err
	}
	var e enrolment
	if err := x.object(&e); err != nil {
		return err
	}
	kind, err := e.joinType()
	if err != nil {
		return err
	}
	csr, err := e.csr()
	if err != nil {
		return err
	}
	blob, key, err := transportKey(&e)
	if err != nil {
		return err
	}
	a, err := x.devices.RegisterDevice(x.ctx, &idpv1.RegisterDeviceRequest{
		Caller: x.caller(), AccessToken: token, JoinType: kind, CertificateRequest: csr, TransportKey: blob, TransportKeyJwk: key,
		DisplayName: e.DeviceDisplayName, DeviceType: e.DeviceType, OsVersion: e.OSVersion, TargetDomain: e.TargetDomain,
		ReturnClientSid: e.attribute("ReturnClientSid"), Attestation: e.Attestation.message(),
		ReplacedDeviceId: e.Replaces,
	})
	if err != nil {
		return err
	}
	out := newEnrolled(a.GetCertificate(), a.GetThumbprint(), a.GetUserPrincipalName())
	out.Replaced = a.GetReplacedDeviceRemoved()
	out.Keys = e.Attestation.state(a.GetKeyProtection(), a.GetNativeSessionKeys())
	if sids := a.GetAdministratorSids(); len(sids) > 0 {
		// S-1-5-32-544 is the group of local administrators.
		out.MembershipChanges = []membershipChange{{LocalSID: "S-1-5-32-544", AddSIDs: sids}}
	}
	x.json(http.StatusOK, out)
	return nil
}

func (x *exchange) enrolHybrid() error {
	var e enrolment
	if err := x.object(&e); err != nil {
		return err
	}
	h := e.ServerAdJoinData
	if h == nil {
		return prterr.New(prterr.Invalid, "ServerAdJoinData is missing")
	}
	if !strings.EqualFold(h.ClientIdentity.Type, "sha256signed") {
		return prterr.New(prterr.Invalid, "ServerAdJoinData.ClientIdentity.Type is not sha256signed")
	}
	csr, err := e.csr()
	if err != nil {
		return err
	}
	key, err := decodeField("ServerAdJoinData.TransportKey", h.TransportKey)
	if err != nil {
		return err
	}
	signature, err := decodeField("ServerAdJoinData.ClientIdentity.SignedBlob", h.ClientIdentity.SignedBlob)
	if err != nil {
		return err
	}
	a, err := x.devices.JoinHybridDevice(x.ctx, &idpv1.JoinHybridDeviceRequest{
		Caller: x.caller(), DeviceId: x.vars["id"], CertificateRequest: csr, TransportKey: key, DisplayName: h.DeviceDisplayName,
		DeviceType: h.DeviceType, OsVersion: h.OSVersion, TargetDomain: h.TargetDomain, TargetTenantId: h.TargetDomainID,
		ClientIdentity: h.ClientIdentity.Sid, Signature: signature, Attestation: e.Attestation.message(),
	})
	if err != nil {
		return err
	}
	out := newEnrolled(a.GetCertificate(), a.GetThumbprint(), "")
	out.Keys = e.Attestation.state(a.GetKeyProtection(), a.GetNativeSessionKeys())
	x.json(http.StatusOK, out)
	return nil
}

// removeDevice removes the device whose certificate the TLS connection was
// authenticated with. The connection proved that the other end has its key, and
// nothing more: whether it is a device's is asked for. A device of ours, whose key
// signs nothing but typed requests and so no TLS handshake, sends a signed proof in
// its place.
func (x *exchange) removeDevice() error {
	if scheme, proof, _ := strings.Cut(x.r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, entrawire.DeviceProofScheme) {
		if _, err := x.devices.DeleteDevice(x.ctx, &idpv1.DeleteDeviceRequest{Request: strings.TrimSpace(proof)}); err != nil {
			return err
		}
		x.json(http.StatusOK, struct{}{})
		return nil
	}
	if x.r.TLS == nil || len(x.r.TLS.PeerCertificates) == 0 {
		return prterr.New(prterr.Unauthenticated, "the connection shows no certificate: use the device certificate as TLS client certificate")
	}
	_, err := x.connected.RemoveDevice(x.ctx, &idpv1.RemoveDeviceRequest{
		Caller: x.caller(), DeviceId: x.vars["id"], Certificate: x.r.TLS.PeerCertificates[0].Raw,
	})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, struct{}{})
	return nil
}

// enrolKey adds a Windows Hello key to the user of the token.
func (x *exchange) enrolKey() error {
	token, err := x.bearer()
	if err != nil {
		return err
	}
	var q struct {
		Key string `json:"kngc"`
	}
	if err := x.object(&q); err != nil {
		return err
	}
	key, err := decodeField("kngc", q.Key)
	if err != nil {
		return err
	}
	a, err := x.devices.RegisterHelloKey(x.ctx, &idpv1.RegisterHelloKeyRequest{Caller: x.caller(), AccessToken: token, Key: key})
	if err != nil {
		return err
	}
	x.json(http.StatusOK, struct {
		Kid string `json:"kid"`
		UPN string `json:"upn"`
		Ctx string `json:"krctx"`
	}{a.GetKid(), a.GetUserPrincipalName(), jose.EncodeSegment([]byte(a.GetKid()))})
	return nil
}

// registrationNonce is a nonce for a certificate request. The first member's
// name is misspelled on the wire.
func (x *exchange) registrationNonce() error {
	a, err := x.nonces.IssueNonce(x.ctx, &idpv1.IssueNonceRequest{})
	if err != nil {
		return err
	}
	type status struct {
		Message string `json:"message"`
		TraceID string `json:"traceId"`
		Time    string `json:"time"`
	}
	x.json(http.StatusOK, struct {
		Status status `json:"ReponseStatus"`
		Value  string `json:"Value"`
	}{status{"Success", x.requestID, x.registrationTime()}, a.GetNonce()})
	return nil
}
