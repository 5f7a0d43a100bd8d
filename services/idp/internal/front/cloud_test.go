package front_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 by definition
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/jose"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

func TestOpenIDConfiguration(t *testing.T) {
	c := newCloud()
	r := raw(t, c, get(login, "/contoso.test/v2.0/.well-known/openid-configuration"))
	for name, want := range map[string]string{
		"issuer": `"https://login.microsoftonline.com/` + tenantID + `/v2.0"`, "token_endpoint": `"https://` + login + "/" + tenantID + `/oauth2/v2.0/token"`,
		"authorization_endpoint": `"https://` + login + "/" + tenantID + `/oauth2/v2.0/authorize"`, "jwks_uri": `"https://` + login + "/" + tenantID + `/discovery/v2.0/keys"`,
		"device_authorization_endpoint": `"https://` + login + "/" + tenantID + `/oauth2/v2.0/devicecode"`, "userinfo_endpoint": `"https://graph.microsoft.com/oidc/userinfo"`,
		"capabilities": `["kdf_ver2"]`, "tenant_region_scope": `"EU"`,
	} {
		wantMember(t, r, name, want)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page of another origin cannot read the metadata")
	}
	r = raw(t, c, get(login, "/common/.well-known/openid-configuration"))
	wantMember(t, r, "issuer", `"https://sts.windows.net/{tenantid}/"`)
	wantMember(t, r, "jwks_uri", `"https://`+login+`/common/discovery/keys"`)
	wantMember(t, r, "token_endpoint", `"https://`+login+`/common/oauth2/token"`)
	r = raw(t, c, get("localhost:8443", "/organizations/v2.0/.well-known/openid-configuration"))
	wantMember(t, r, "token_endpoint", `"https://localhost:8443/organizations/oauth2/v2.0/token"`)
	wantMember(t, r, "issuer", `"https://login.microsoftonline.com/{tenantid}/v2.0"`)
	r = raw(t, c, get(login, "/nowhere.test/v2.0/.well-known/openid-configuration"))
	wantStatus(t, r, 400)
	wantMember(t, r, "error_codes", "[90002]")
}

func TestSigningKeys(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	c := newCloud()
	always(c, idpv1.MetadataService_ListSigningKeys_FullMethodName, &idpv1.ListSigningKeysResponse{Keys: []*idpv1.SigningKey{{Kid: "k1", PublicKey: spki, Certificate: []byte("cert")}, {Kid: "k2", PublicKey: spki}}})
	var set struct{ Keys []map[string]any }
	r := raw(t, c, get(login, "/"+tenantID+"/discovery/v2.0/keys"))
	if err := json.Unmarshal([]byte(r.text), &set); err != nil || len(set.Keys) != 2 {
		t.Fatalf("%v %s", err, r.text)
	}
	sum := sha1.Sum([]byte("cert"))
	k := set.Keys[0]
	if k["kty"] != "RSA" || k["use"] != "sig" || k["kid"] != "k1" || k["n"] != jose.EncodeSegment(key.N.Bytes()) || k["e"] != "AQAB" ||
		k["x5t"] != jose.EncodeSegment(sum[:]) || k["x5c"].([]any)[0] != base64.StdEncoding.EncodeToString([]byte("cert")) || k["issuer"] != "https://"+login+"/"+tenantID+"/v2.0" {
		t.Errorf("%v", k)
	}
	if r := raw(t, c, get(login, "/common/discovery/keys?appid=x")); strings.Contains(r.text, "issuer") || !strings.Contains(r.text, `"kid":"k2"`) {
		t.Errorf("%s", r.text)
	}
	always(c, idpv1.MetadataService_ListSigningKeys_FullMethodName, &idpv1.ListSigningKeysResponse{Keys: []*idpv1.SigningKey{{Kid: "k1", PublicKey: []byte("x")}}})
	wantStatus(t, raw(t, c, get(login, "/common/discovery/keys")), 500)
}

func TestInstanceDiscovery(t *testing.T) {
	c := newCloud()
	ask := func(host, endpoint string) reply {
		return raw(t, c, get(host, "/common/discovery/instance?api-version=1.1&authorization_endpoint="+endpoint))
	}
	r := ask(login, "https://login.windows.net/contoso.test/oauth2/v2.0/authorize")
	wantMember(t, r, "tenant_discovery_endpoint", `"https://login.windows.net/contoso.test/v2.0/.well-known/openid-configuration"`)
	wantMember(t, r, "api-version", `"1.1"`)
	if !strings.Contains(r.text, `"preferred_network":"login.microsoftonline.com","preferred_cache":"login.windows.net","aliases":["login.microsoftonline.com","login.windows.net"`) {
		t.Errorf("%s", r.text)
	}
	wantMember(t, ask("localhost:8443", "https%3A%2F%2Flocalhost%3A8443%2Fcommon%2Foauth2%2Fauthorize"), "tenant_discovery_endpoint", `"https://localhost:8443/common/.well-known/openid-configuration"`)
	for endpoint, code := range map[string]string{
		"https://evil.example/common/oauth2/authorize": "[50049]", "": "[900144]", "http://" + login + "/x": "[90023]", "https://" + login: "[90023]", "https://%ff/": "[9002313]",
	} {
		r := ask(login, endpoint)
		wantStatus(t, r, 400)
		wantMember(t, r, "error_codes", code)
	}
	wantMember(t, ask(login, "https://evil.example/common/oauth2/authorize"), "error", `"invalid_instance"`)
}

func TestREG17_DiscoveryNamesTheServices(t *testing.T) {
	r := raw(t, newCloud(), get(drs, "/contoso.test/Discover?api-version=1.9&managed=True"))
	wantStatus(t, r, 200)
	const base = `"https://enterpriseregistration.windows.net`
	var all map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.text), &all); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"DiscoveryService.DiscoveryEndpoint": base + "/" + tenantID + `/Discover"`, "DiscoveryService.ServiceVersion": `"1.9"`,
		"DeviceRegistrationService.RegistrationEndpoint": base + `/EnrollmentServer/DeviceEnrollmentWebService.svc"`,
		"DeviceJoinService.JoinEndpoint":                 base + `/EnrollmentServer/device/"`, "DeviceJoinService.JoinResourceId": `"urn:ms-drs:enterpriseregistration.windows.net"`,
		"DeviceJoinService.ServiceVersion": `"2.0"`, "KeyProvisioningService.KeyProvisionEndpoint": base + `/EnrollmentServer/key/"`,
		"NonceService.Endpoint": base + `/EnrollmentServer/nonce/` + tenantID + `/"`, "WebAuthNService.WebAuthNEndpoint": base + "/webauthn/" + tenantID + `/"`,
		"DeviceManagementService.DeviceManagementEndpoint": base + "/manage/" + tenantID + `/"`, "IdentityProviderService.Federated": "false",
		"PrecreateService.PrecreateEndpoint": base + "/EnrollmentServer/device/precreate/" + tenantID + `/"`, "TenantInfo.TenantId": `"` + tenantID + `"`,
		"TenantInfo.TenantName": `"contoso.test"`, "TenantInfo.DisplayName": `"Contoso"`,
		"AuthenticationService.OAuth2":       `{"AuthCodeEndpoint":"https://` + login + "/" + tenantID + `/oauth2/authorize","TokenEndpoint":"https://` + login + "/" + tenantID + `/oauth2/token"}`,
		"DeviceJoinResourceService.Endpoint": base + "/EnrollmentServer/device/resource/" + tenantID + `/"`,
	} {
		object, name, _ := strings.Cut(path, ".")
		if got := string(all[object][name]); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, object := range []string{"MsaProviderData", "AzureRbacService", "BPLService"} {
		if all[object] == nil {
			t.Errorf("no %s", object)
		}
	}
	if r := raw(t, newCloud(), get("lockstep.test", "/contoso.test/Discover")); !strings.Contains(r.text, `"https://lockstep.test/EnrollmentServer/device/"`) {
		t.Errorf("%s", r.text)
	}
	if r := raw(t, newCloud(), get("enterpriseregistration.lockstep.test:8443", "/contoso.test/Discover")); !strings.Contains(r.text, `"https://lockstep.test:8443/`+tenantID+`/oauth2/token"`) {
		t.Errorf("%s", r.text)
	}
	bad := raw(t, newCloud(), get(drs, "/nowhere.test/Discover"))
	wantStatus(t, bad, 400)
	wantMember(t, bad, "operation", `"Discover"`)
}

func device(method, path, auth, body string) string {
	return method + " /EnrollmentServer/" + path + " HTTP/1.1\nHost: " + drs + auth + "\nContent-Type: application/json\n\n" + body
}

const drsBearer = "\nAuthorization: Bearer a.t."

func TestEnrolment(t *testing.T) {
	c := newCloud()
	const register = idpv1.DeviceRegistrationService_RegisterDevice_FullMethodName
	always(c, register, &idpv1.RegisterDeviceResponse{Certificate: []byte("cert"), Thumbprint: "AB", UserPrincipalName: "alice@contoso.test", AdministratorSids: []string{"S-1-12-1-1"}})
	const head = `{"CertificateRequest":{"Type":"pkcs10","Data":"Y3Ny"},"TargetDomain":"contoso.test","DeviceType":"Linux","OSVersion":"1","DeviceDisplayName":"D",`
	r := raw(t, c, device("POST", "device/?api-version=2.0", drsBearer, head+`"TransportKey":"UlNBMQ==","JoinType":0,"AikCertificate":"","AttestationData":"","attributes":{"ReuseDevice":"true","ReturnClientSid":"True"}}`))
	wantStatus(t, r, 200)
	wantMember(t, r, "Certificate", `{"Thumbprint":"AB","RawBody":"Y2VydA=="}`)
	wantMember(t, r, "User", `{"Upn":"alice@contoso.test"}`)
	wantMember(t, r, "MembershipChanges", `[{"LocalSID":"S-1-5-32-544","AddSIDs":["S-1-12-1-1"]}]`)
	q := asked[*idpv1.RegisterDeviceRequest](t, c, register)
	if q.GetAccessToken() != "a.t." || q.GetJoinType() != idpv1.JoinType_JOIN_TYPE_JOIN || string(q.GetCertificateRequest()) != "csr" || string(q.GetTransportKey()) != "RSA1" ||
		q.GetTransportKeyJwk() != "" || !q.GetReturnClientSid() || q.GetDisplayName() != "D" || q.GetTargetDomain() != "contoso.test" {
		t.Errorf("%v", q)
	}
	for body, check := range map[string]func(*idpv1.RegisterDeviceRequest) bool{
		`"TransportKey":"eyJrdHkiOiJSU0EifQ==","JoinType":4,"Attributes":{"ReturnClientSid":true}}`: func(q *idpv1.RegisterDeviceRequest) bool {
			return q.GetTransportKeyJwk() == `{"kty":"RSA"}` && q.GetJoinType() == idpv1.JoinType_JOIN_TYPE_REGISTER && q.GetReturnClientSid()
		},
		`"DeviceKeys":[{"Data":"{\"kty\":\"EC\"}","Encoding":"JWK","Type":"ECC","Usage":"STK"}],"JoinType":"8"}`: func(q *idpv1.RegisterDeviceRequest) bool {
			return q.GetTransportKeyJwk() == `{"kty":"EC"}` && q.GetJoinType() == idpv1.JoinType_JOIN_TYPE_JOIN_VARIANT && !q.GetReturnClientSid()
		},
		`"TransportKey":"UlNBMQ==","JoinType":6}`: func(q *idpv1.RegisterDeviceRequest) bool { return q.GetJoinType() == idpv1.JoinType_JOIN_TYPE_HYBRID },
	} {
		wantStatus(t, raw(t, c, device("POST", "device", drsBearer, head+body)), 200)
		if q := asked[*idpv1.RegisterDeviceRequest](t, c, register); !check(q) {
			t.Errorf("%s: %v", body, q)
		}
	}
	for body, field := range map[string]string{
		head + `"TransportKey":"UlNBMQ==","JoinType":3}`: "JoinType", head + `"TransportKey":"UlNBMQ==","JoinType":-1}`: "JoinType", head + `"TransportKey":"UlNBMQ=="}`: "JoinType",
		head + `"TransportKey":"!","JoinType":0}`: "TransportKey", head + `"JoinType":0}`: "TransportKey", `{"JoinType":0,"TransportKey":"UlNBMQ=="}`: "CertificateRequest.Type",
		`{"CertificateRequest":{"Type":"pkcs10"},"JoinType":0,"TransportKey":"UlNBMQ=="}`: "CertificateRequest.Data", `{"JoinType":0,"joinType":0}`: "named twice", `[]`: "not a JSON object", "": "not JSON",
	} {
		r := raw(t, c, device("POST", "device/", drsBearer, body))
		wantStatus(t, r, 400)
		if !strings.Contains(r.member(t, "message"), field) || r.member(t, "operation") != `"DeviceJoin"` || !strings.Contains(r.member(t, "error"), `"message"`) {
			t.Errorf("%s: %s", body, r.text)
		}
	}
	for _, auth := range []string{"", "\nAuthorization: Basic x", "\nAuthorization: Bearer", "\nAuthorization: Bearer \xff"} {
		r := raw(t, c, device("POST", "device/", auth, "{}"))
		wantStatus(t, r, 401)
	}
	refuse(c, register, prterr.AADSTS(240001, ""))
	r = raw(t, c, device("POST", "device/", drsBearer, head+`"TransportKey":"UlNBMQ==","JoinType":0}`))
	wantStatus(t, r, 403)
	if !strings.HasPrefix(r.member(t, "message"), `"AADSTS240001: `) || r.member(t, "requestid") == "" || r.member(t, "time") == "" || r.member(t, "subcode") == "" {
		t.Errorf("%s", r.text)
	}
}

func TestHybridKeyAndNonce(t *testing.T) {
	c := newCloud()
	always(c, idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName, &idpv1.JoinHybridDeviceResponse{Certificate: []byte("cert"), Thumbprint: "AB"})
	body := `{"JoinType":6,"CertificateRequest":{"Type":"pkcs10","Data":"Y3Ny"},"attributes":{},"ServerAdJoinData":{"TransportKey":"UlNBMQ==","TargetDomain":"contoso.test","DeviceType":"Windows",` +
		`"OSVersion":"10","DeviceDisplayName":"PC","TargetDomainId":"` + tenantID + `","ClientIdentity":{"Type":"sha256signed","Sid":"S-1-5-21-1.2026-01-01 00:00:00Z","SignedBlob":"c2ln"}}}`
	wantStatus(t, raw(t, c, device("PUT", "device/DeV-1?api-version=2.0", "", body)), 200)
	q := asked[*idpv1.JoinHybridDeviceRequest](t, c, idpv1.DeviceRegistrationService_JoinHybridDevice_FullMethodName)
	if q.GetDeviceId() != "DeV-1" || q.GetClientIdentity() != "S-1-5-21-1.2026-01-01 00:00:00Z" || string(q.GetSignature()) != "sig" || q.GetTargetTenantId() != tenantID || string(q.GetTransportKey()) != "RSA1" {
		t.Errorf("%v", q)
	}
	for _, bad := range []string{`{}`, strings.Replace(body, "sha256signed", "x", 1), strings.Replace(body, "c2ln", "!", 1), strings.Replace(body, "UlNBMQ==", "", 1)} {
		wantStatus(t, raw(t, c, device("PUT", "device/d", "", bad)), 400)
	}
	always(c, idpv1.DeviceRegistrationService_RegisterHelloKey_FullMethodName, &idpv1.RegisterHelloKeyResponse{Kid: "k", UserPrincipalName: "alice@contoso.test"})
	r := raw(t, c, device("POST", "key/?api-version=1.0", drsBearer, `{"kngc":"UlNBMQ=="}`))
	wantMember(t, r, "kid", `"k"`)
	wantMember(t, r, "upn", `"alice@contoso.test"`)
	wantStatus(t, raw(t, c, device("POST", "key/", drsBearer, `{"kngc":""}`)), 400)
	r = raw(t, c, get(drs, "/EnrollmentServer/nonce/"+tenantID+"/?api-version=1.0"))
	wantMember(t, r, "Value", `"n0nce"`)
	if !strings.Contains(r.member(t, "ReponseStatus"), `"message":"Success"`) {
		t.Errorf("%s", r.text)
	}
}

func TestADeviceRemovesItselfWithItsCertificate(t *testing.T) {
	c := newCloud()
	const remove = idpv1.ConnectedDeviceService_RemoveDevice_FullMethodName
	always(c, remove, &idpv1.RemoveDeviceResponse{})
	wantStatus(t, raw(t, c, device("DELETE", "device/d", "", "")), 401)
	if c.called(remove) {
		t.Error("removed without a certificate")
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "d"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(newFront(t, c))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	client := s.Client()
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.URL+"/EnrollmentServer/device/d", nil)
	req.Host = drs
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if q := asked[*idpv1.RemoveDeviceRequest](t, c, remove); resp.StatusCode != 200 || q.GetDeviceId() != "d" || !slices.Equal(q.GetCertificate(), der) {
		t.Errorf("%d %v", resp.StatusCode, q)
	}
}

func graphGet(path string) string {
	return "GET " + path + " HTTP/1.1\nHost: " + graph + "\nAuthorization: Bearer a.t.\n\n"
}

func TestGraph(t *testing.T) {
	c := newCloud()
	user := &idpv1.DirectoryUser{UserId: "u1", UserPrincipalName: "alice@contoso.test", DisplayName: "Alice <&>", AccountEnabled: true}
	on(c, idpv1.ResourceService_GetUser_FullMethodName, func(q *idpv1.GetUserRequest) (*idpv1.GetUserResponse, error) {
		if q.GetBearer().GetAccessToken() != "a.t." {
			return nil, prterr.New(prterr.Unauthenticated, "no token")
		}
		if q.GetKey() != "" && q.GetKey() != "alice@contoso.test" {
			return nil, prterr.New(prterr.NotFound, "no user")
		}
		return &idpv1.GetUserResponse{User: user}, nil
	})
	r := raw(t, c, graphGet("/v1.0/me"))
	if r.text != `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users/$entity","businessPhones":[],"displayName":"Alice <&>","givenName":null,"jobTitle":null,"mail":null,`+
		`"mobilePhone":null,"officeLocation":null,"preferredLanguage":null,"surname":null,"userPrincipalName":"alice@contoso.test","id":"u1"}` {
		t.Errorf("%s", r.text)
	}
	r = raw(t, c, graphGet("/beta/Users/alice%40contoso.test?$select=id,accountEnabled"))
	if r.text != `{"@odata.context":"https://graph.microsoft.com/beta/$metadata#users/$entity","id":"u1","accountEnabled":true}` {
		t.Errorf("%s", r.text)
	}
	r = raw(t, c, graphGet("/v1.0/users/nobody"))
	wantStatus(t, r, 404)
	if !strings.Contains(r.member(t, "error"), `"code":"Request_ResourceNotFound"`) || !strings.Contains(r.member(t, "error"), `"request-id"`) {
		t.Errorf("%s", r.text)
	}
	r = raw(t, c, get(graph, "/v1.0/me"))
	wantStatus(t, r, 401)
	if !strings.Contains(r.Header.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(r.text, "InvalidAuthenticationToken") {
		t.Errorf("%v", r.Header)
	}
	r = raw(t, c, graphGet("/v1.0/me/photos/48x48/$value"))
	wantStatus(t, r, 404)
	if !strings.Contains(r.text, "ImageNotFound") {
		t.Errorf("%s", r.text)
	}
	refuse(c, idpv1.ResourceService_GetUser_FullMethodName, prterr.AADSTS(50173, "").WithClaims(`{"access_token":{"nbf":{"essential":true}}}`))
	r = raw(t, c, graphGet("/v1.0/me"))
	wantStatus(t, r, 401)
	if want := `claims="` + base64.StdEncoding.EncodeToString([]byte(`{"access_token":{"nbf":{"essential":true}}}`)) + `"`; !strings.Contains(r.Header.Get("WWW-Authenticate"), `error="insufficient_claims", `+want) {
		t.Errorf("%v", r.Header)
	}
	refuse(c, idpv1.ResourceService_GetUser_FullMethodName, prterr.New(prterr.Denied, "no scope"))
	wantStatus(t, raw(t, c, graphGet("/v1.0/me")), 403)
	always(c, idpv1.ResourceService_ListUsers_FullMethodName, &idpv1.ListUsersResponse{Users: []*idpv1.DirectoryUser{user, {UserId: "u2", UserPrincipalName: "o'neil@contoso.test"}}})
	for filter, want := range map[string]string{
		"": `"id":"u1"},{`, "&$filter=userPrincipalName%20eq%20'o''neil@contoso.test'": `"value":[{"userPrincipalName":"o'neil@contoso.test","id":"u2"}]`, "&$filter=accountEnabled+eq+true": `"value":[{"userPrincipalName":"alice@contoso.test","id":"u1"}]`,
		"&$filter=mail+eq+'x'": `"value":[]`, "&$filter=startswith(mail,'x')": `Request_BadRequest`,
	} {
		if r := raw(t, c, graphGet("/v1.0/users?$select=id,userPrincipalName"+filter)); !strings.Contains(r.text, want) {
			t.Errorf("%s: %s", filter, r.text)
		}
	}
}

func TestGraphDevicesGroupsAndOrganization(t *testing.T) {
	c := newCloud()
	dev := &idpv1.DirectoryDevice{ObjectId: "o1", DeviceId: "d1", DisplayName: "PC", IsCompliant: true, RegisteredAt: 1700000000, TrustType: "AzureAd"}
	on(c, idpv1.ResourceService_GetDevice_FullMethodName, func(q *idpv1.GetDeviceRequest) (*idpv1.GetDeviceResponse, error) {
		if q.GetKey() != "d1" {
			return nil, prterr.New(prterr.NotFound, "no device")
		}
		return &idpv1.GetDeviceResponse{Device: dev}, nil
	})
	for _, path := range []string{"/v1.0/devices(deviceId='{d1}')", "/v1.0/devices(deviceId='d1')", "/v1.0/devices/d1", "/v1.0/Devices(deviceid=%27%7Bd1%7D%27)"} {
		if r := raw(t, c, graphGet(path+"?$select=isCompliant,displayName")); r.text != `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#devices/$entity","displayName":"PC","isCompliant":true}` {
			t.Errorf("%s: %s", path, r.text)
		}
	}
	wantStatus(t, raw(t, c, graphGet("/v1.0/devices(deviceId='x')")), 404)
	wantStatus(t, raw(t, c, graphGet("/v1.0/devices(deviceId=')")), 404)
	always(c, idpv1.ResourceService_ListDevices_FullMethodName, &idpv1.ListDevicesResponse{Devices: []*idpv1.DirectoryDevice{dev}})
	for path, by := range map[string]string{"/v1.0/devices": "", "/v1.0/me/ownedDevices": "me", "/v1.0/users/u1/registeredDevices": "u1"} {
		r := raw(t, c, graphGet(path))
		if q := asked[*idpv1.ListDevicesRequest](t, c, idpv1.ResourceService_ListDevices_FullMethodName); q.GetRegisteredBy() != by || !strings.Contains(r.text, `"registrationDateTime":"2023-11-14T22:13:20Z"`) {
			t.Errorf("%s: %v %s", path, q, r.text)
		}
	}
	always(c, idpv1.ResourceService_ListGroups_FullMethodName, &idpv1.ListGroupsResponse{Groups: []*idpv1.DirectoryGroup{{GroupId: "g1", DisplayName: "G"}}})
	for path, member := range map[string]string{"/v1.0/groups?$filter=displayName+eq+'g'": "", "/v1.0/me/memberOf?$top=999": "me", "/v1.0/users/alice@contoso.test/transitiveMemberOf": "alice@contoso.test", "/v1.0/groups/G1": ""} {
		r := raw(t, c, graphGet(path))
		if q := asked[*idpv1.ListGroupsRequest](t, c, idpv1.ResourceService_ListGroups_FullMethodName); q.GetMemberKey() != member || !strings.Contains(r.text, `"id":"g1","displayName":"G"`) {
			t.Errorf("%s: %v %s", path, q, r.text)
		}
		if (member != "") != strings.Contains(r.text, `"@odata.type":"#microsoft.graph.group"`) {
			t.Errorf("%s: %s", path, r.text)
		}
	}
	wantStatus(t, raw(t, c, graphGet("/v1.0/groups/g2")), 404)
	always(c, idpv1.ResourceService_GetOrganization_FullMethodName, &idpv1.GetOrganizationResponse{TenantId: tenantID, DisplayName: "Contoso", Domains: []string{"contoso.test", "x.test"}})
	if r := raw(t, c, graphGet("/v1.0/organization")); !strings.Contains(r.text, `"verifiedDomains":[{"name":"contoso.test","isDefault":true,"isInitial":true},{"name":"x.test"`) {
		t.Errorf("%s", r.text)
	}
	always(c, idpv1.ResourceService_GetUserInfo_FullMethodName, &idpv1.GetUserInfoResponse{Sub: "s", Name: "Alice", Email: "alice@contoso.test"})
	for _, request := range []string{graphGet("/oidc/userinfo"), "POST /common/openid/userinfo HTTP/1.1\nHost: " + login + "\nAuthorization: Bearer a.t.\n\n"} {
		r := raw(t, c, request)
		wantMember(t, r, "sub", `"s"`)
		wantMember(t, r, "email", `"alice@contoso.test"`)
	}
	refuse(c, idpv1.ResourceService_GetUserInfo_FullMethodName, prterr.New(prterr.Unauthenticated, "no"))
	wantStatus(t, raw(t, c, graphGet("/oidc/userinfo")), 401)
	// A bound token comes inside the proof of its key.
	pop := compact(`{"alg":"RS256"}`, `{"at":"b.t.","m":"GET"}`)
	raw(t, c, "GET /oidc/userinfo HTTP/1.1\nHost: "+graph+"\nAuthorization: PoP "+pop+"\n\n")
	if b := asked[*idpv1.GetUserInfoRequest](t, c, idpv1.ResourceService_GetUserInfo_FullMethodName).GetBearer(); b.GetAccessToken() != "b.t." || b.GetPopProof() != pop {
		t.Errorf("%v", b)
	}
}

func TestDesktopSSOIsRefusedInItsOwnWords(t *testing.T) {
	r := raw(t, newCloud(), "POST /contoso.test/winauth/trust/2005/usernamemixed?client-request-id=x HTTP/1.1\nHost: autologon.microsoftazuread-sso.com\nContent-Type: application/soap+xml\n\n<s:Envelope/>")
	d := xml.NewDecoder(strings.NewReader(r.text))
	found := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		s, ok := token.(xml.StartElement)
		found = found || ok && s.Name.Local == "text" && s.Name.Space == "http://schemas.microsoft.com/Passport/SoapServices/SOAPFault"
	}
	if !found {
		t.Errorf("%s", r.text)
	}
}
