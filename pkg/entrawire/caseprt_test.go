package entrawire_test

import (
	"strconv"
	"strings"
)

const (
	nonceA    = "AwABAAEAAAACAOz_BAD0_nonceA"
	nonceB    = "AwABAAEAAAACAOz_BAD0_nonceB"
	oldPRT    = "0.AXoAXmw1aGMKLUSi7HHMa7PiS4c7qjht7g.AgABAwEAAAAprt-1_old"
	brokerRT  = "0.AXoAXmw1aGMKLUSi7HHMa7PiS4ed2SmkabY.AgABAwEAAAArt-broker_1"
	prtSource = "MS-OAPXBC 3.1.5.1.2; requests of Windows, ROADtools and libhimmelblau"
)

func prtVector(k keys, name, what, expect, input string, result map[string]string) vector {
	return vector{
		Name: "prt_request/" + name, Kind: "prt_request", What: what, Expect: expect, Source: prtSource,
		Given: map[string]string{"issuer_certificate_b64": std64(caCertificate(k)), "time": certificateTime, "device_key_pkcs8_b64": pkcs8(k.device)},
		Input: input, Result: result,
	}
}

// quotedX5C and listedX5C are the two ways in which clients write a certificate.
func quotedX5C(der []byte) string { return `"` + std64(der) + `"` }
func listedX5C(der []byte) string { return `["` + std64(der) + `"]` }

func prtHeader(rest string, x5c string) string {
	return `{"alg":"RS256","typ":"JWT",` + rest + `"x5c":` + x5c + `}`
}

const passwordClaims = `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","request_nonce":"` + nonceA + `","scope":"openid aza ugs","win_ver":"10.0.19041.868","group_sids":[],"grant_type":"password","username":"alice@contoso.test","password":"correct horse battery staple"}`

func prtResult(kdfVer int, more ...string) map[string]string {
	r := map[string]string{
		"device_id": vectorDevice, "kdf_ver": strconv.Itoa(kdfVer), "client_id": "38aa3b87-a06d-4817-b275-7a316988d93b", "request_nonce": nonceA,
	}
	for i := 0; i < len(more); i += 2 {
		r[more[i]] = more[i+1]
	}
	return r
}

// prtCases are the requests that real clients send.
func prtCases(k keys) []vector {
	der := deviceCertificate(k)
	password := []string{"grant_type", "password", "username", "alice@contoso.test", "password", "correct horse battery staple"}
	hello := helloToken(k)
	return []vector{
		prtVector(k, "password", "First sign-in with a password, as ROADtools writes it: x5c is a string, kdf_ver 2, a claim nobody reads.", accept,
			compact(prtHeader(`"kdf_ver":2,`, quotedX5C(der)), passwordClaims, byRSA(k.device)), prtResult(2, password...)),
		prtVector(k, "password-libhimmelblau", "The same as libhimmelblau writes it: x5c is a list, no kdf_ver, win_ver null.", accept,
			compact(prtHeader("", listedX5C(der)), strings.NewReplacer(`"10.0.19041.868"`, "null", `"group_sids":[],`, "").Replace(passwordClaims), byRSA(k.device)), prtResult(0, password...)),
		prtVector(k, "refresh-token", "A PRT for the broker's refresh token.", accept,
			compact(prtHeader(`"kdf_ver":2,`, quotedX5C(der)), `{"client_id":"29d9ed98-a469-4536-ade2-f981bc1d605e","request_nonce":"`+nonceA+`","scope":"openid aza ugs","win_ver":"10.0.19041.868","grant_type":"refresh_token","refresh_token":"`+brokerRT+`"}`, byRSA(k.device)),
			prtResult(2, "client_id", "29d9ed98-a469-4536-ade2-f981bc1d605e", "grant_type", "refresh_token", "refresh_token", brokerRT)),
		prtVector(k, "hello", "A PRT for a Windows Hello assertion; the nonce in the assertion is another one.", accept,
			compact(prtHeader(`"kdf_ver":2,`, quotedX5C(der)), `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","request_nonce":"`+nonceA+`","scope":"openid aza ugs","win_ver":"10.0.19041.868","grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer","username":"alice@contoso.test","assertion":"`+hello+`"}`, byRSA(k.device)),
			prtResult(2, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "username", "alice@contoso.test", "assertion", hello)),
		prtVector(k, "saml", "A PRT for the SAML 1.1 assertion of a federated user, in base64. (The assertion here is a stub.)", accept,
			compact(prtHeader(`"kdf_ver":2,`, quotedX5C(der)), `{"client_id":"38aa3b87-a06d-4817-b275-7a316988d93b","request_nonce":"`+nonceA+`","scope":"openid aza ugs","grant_type":"urn:ietf:params:oauth:grant-type:saml1_1-bearer","assertion":"PHNhbWw6QXNzZXJ0aW9uLz4="}`, byRSA(k.device)),
			prtResult(2, "grant_type", "urn:ietf:params:oauth:grant-type:saml1_1-bearer", "assertion", "PHNhbWw6QXNzZXJ0aW9uLz4=")),
		prtVector(k, "escaped", "JSON escapes and members that nobody knows are ordinary.", accept,
			compact(prtHeader(`"kdf_ver":2,"fut\u0075re":{"a":[1]},`, quotedX5C(der)), strings.Replace(passwordClaims, "correct horse", `correct \u0068\u006frse`, 1), byRSA(k.device)), prtResult(2, password...)),
	}
}

// prtFormCases have one defect in the form, the header, the certificate or the signature.
func prtFormCases(k keys) []vector {
	der := deviceCertificate(k)
	header := prtHeader(`"kdf_ver":2,`, quotedX5C(der))
	good := compact(header, passwordClaims, byRSA(k.device))
	parts := strings.Split(good, ".")
	with := func(from, to string) string { return strings.Replace(header, from, to, 1) }
	signed := func(header string) string { return compact(header, passwordClaims, byRSA(k.device)) }
	spki := publicKeyInfo(k.device)
	bad := func(name, what, expect, input string) vector { return prtVector(k, name, what, expect, input, nil) }
	return []vector{
		bad("four-segments", "A fourth segment.", "malformed", good+"."),
		bad("two-segments", "No signature segment.", "malformed", parts[0]+"."+parts[1]),
		bad("padded-segment", "The payload segment has base64 padding.", "malformed", parts[0]+"."+parts[1]+"=."+parts[2]),
		bad("line-break", "A line break inside the signature segment.", "malformed", good[:len(good)-4]+"\n"+good[len(good)-4:]),
		bad("standard-alphabet", "The signature is in the standard alphabet of base64.", "malformed", parts[0]+"."+parts[1]+"."+strings.NewReplacer("-", "+", "_", "/").Replace(parts[2])),
		bad("loose-bits", "Bits are set behind the last byte of the signature: a second spelling of one token.", "malformed", loosened(good)),
		bad("no-signature", "The signature segment is empty and alg says RS256.", "malformed", parts[0]+"."+parts[1]+"."),
		bad("payload-list", "The payload is a JSON list.", "malformed", compact(header, "["+passwordClaims+"]", byRSA(k.device))),
		bad("payload-trailing", "A second JSON object stands behind the payload.", "malformed", compact(header, passwordClaims+"{}", byRSA(k.device))),
		bad("claim-twice", "The claim username stands twice.", "malformed", compact(header, strings.Replace(passwordClaims, `"username"`, `"username":"bob@contoso.test","username"`, 1), byRSA(k.device))),
		bad("claim-twice-escaped", "The claim username stands twice, once with an escape in its name.", "malformed", compact(header, strings.Replace(passwordClaims, `"username"`, `"usern\u0061me":"bob@contoso.test","username"`, 1), byRSA(k.device))),
		bad("alg-twice", "The header member alg stands twice.", "malformed", signed(with(`"alg":"RS256"`, `"alg":"none","alg":"RS256"`))),
		bad("crit", "The header has crit.", "malformed", signed(with(`"typ"`, `"crit":["exp"],"typ"`))),
		bad("jwk", "The header brings its own key in jwk.", "malformed", signed(with(`"typ"`, `"jwk":{"kty":"RSA","e":"AQAB","n":"`+url64(k.device.N.Bytes())+`"},"typ"`))),
		bad("jku", "The header names an address for keys in jku.", "malformed", signed(with(`"typ"`, `"jku":"https://attacker.test/keys","typ"`))),
		bad("two-certificates", "x5c has two certificates.", "malformed", signed(prtHeader(`"kdf_ver":2,`, `["`+std64(der)+`","`+std64(caCertificate(k))+`"]`))),
		bad("kdf-ver-string", "kdf_ver is the string \"2\"; it must be the integer.", "malformed", signed(with(`"kdf_ver":2`, `"kdf_ver":"2"`))),
		bad("kdf-ver-fraction", "kdf_ver is 2.0; it must be the integer.", "malformed", signed(with(`"kdf_ver":2`, `"kdf_ver":2.0`))),
		bad("kdf-ver-unknown", "kdf_ver is 4, which nobody knows.", "malformed", signed(with(`"kdf_ver":2`, `"kdf_ver":4`))),
		bad("alg-none", "alg is none and there is no signature.", "algorithm", compact(with("RS256", "none"), passwordClaims, unsigned)),
		bad("alg-none-capital", "alg is None and there is no signature.", "algorithm", compact(with("RS256", "None"), passwordClaims, unsigned)),
		bad("alg-hmac-certificate", "HS256 with the certificate as the key.", "algorithm", compact(with("RS256", "HS256"), passwordClaims, byHMAC(der))),
		bad("alg-hmac-public-key", "HS256 with the public key as the key.", "algorithm", compact(with("RS256", "HS256"), passwordClaims, byHMAC(spki))),
		bad("alg-rs512", "alg says RS512.", "algorithm", signed(with("RS256", "RS512"))),
		bad("no-x5c", "The header has no certificate.", "header", signed(`{"alg":"RS256","typ":"JWT","kdf_ver":2}`)),
		bad("self-signed", "The certificate says the right things and is signed by its own key.", "certificate", signed(prtHeader(`"kdf_ver":2,`, quotedX5C(selfSignedCertificate(k))))),
		bad("foreign-issuer", "The certificate comes from an issuer of the same name with another key.", "certificate", signed(prtHeader(`"kdf_ver":2,`, quotedX5C(foreignCertificate(k))))),
		bad("expired-certificate", "The certificate is over.", "certificate", signed(prtHeader(`"kdf_ver":2,`, quotedX5C(expiredCertificate(k))))),
		bad("other-key", "The signature is by another key than the certificate's.", "signature", compact(header, passwordClaims, byRSA(k.other))),
		bad("payload-changed", "The user name was changed after the token was signed.", "signature", parts[0]+"."+url64([]byte(strings.Replace(passwordClaims, "alice", "admin", 1)))+"."+parts[2]),
		bad("header-changed", "kdf_ver was taken out after the token was signed.", "signature", url64([]byte(prtHeader("", quotedX5C(der))))+"."+parts[1]+"."+parts[2]),
	}
}

// loosened sets a bit behind the last byte of the last segment, which has two
// characters for its last byte: 256 bytes leave one over.
func loosened(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])+1])
}

// prtClaimCases are signed well and ask for what cannot be.
func prtClaimCases(k keys) []vector {
	header := prtHeader(`"kdf_ver":2,`, quotedX5C(deviceCertificate(k)))
	bad := func(name, what, from, to string) vector {
		return prtVector(k, name, what, "claims", compact(header, strings.Replace(passwordClaims, from, to, 1), byRSA(k.device)), nil)
	}
	return []vector{
		bad("scope-without-aza", "The scope does not ask for a PRT.", "openid aza ugs", "openid ugs"),
		bad("scope-without-openid", "The scope lacks openid.", "openid aza ugs", "aza ugs"),
		bad("client-id", "client_id is no GUID.", "38aa3b87-a06d-4817-b275-7a316988d93b", "windows"),
		bad("no-username", "A password without a user name.", `"username":"alice@contoso.test",`, ""),
		bad("no-password", "grant_type password without one.", `,"password":"correct horse battery staple"`, ""),
		bad("password-number", "The password is a JSON number.", `"correct horse battery staple"`, "12345678"),
		bad("two-credentials", "A password and a refresh token.", `,"username"`, `,"refresh_token":"`+brokerRT+`","username"`),
		bad("grant-type", "A grant type that gives no PRT.", `"grant_type":"password"`, `"grant_type":"client_credentials"`),
		bad("grant-type-device-proof", "The grant type of a device proof.", `"grant_type":"password"`, `"grant_type":"device_auth"`),
		bad("no-grant-type", "No grant type.", `"grant_type":"password",`, ""),
		bad("claim-name-case", "The claim is called Grant_Type: names are exact.", `"grant_type"`, `"Grant_Type"`),
	}
}

const proofClaims = `{"grant_type":"device_auth","iss":"aad:brokerplugin","request_nonce":"` + nonceA + `","ua_client_id":null,"ua_redirect_uri":null,"x_client_platform":null,"win_ver":null,"windows_api_version":"2.0.1"}`

func deviceProofCases(k keys) []vector {
	header := prtHeader("", listedX5C(deviceCertificate(k)))
	v := func(name, what, expect, input string, result map[string]string) vector {
		v := prtVector(k, name, what, expect, input, result)
		v.Name, v.Kind, v.Source = "device_proof/"+name, "device_proof", "MS-OAPXBC, x-ms-DeviceCredential; requests of libhimmelblau"
		return v
	}
	bad := func(name, what, from, to string) vector {
		return v(name, what, "claims", compact(header, strings.Replace(proofClaims, from, to, 1), byRSA(k.device)), nil)
	}
	return []vector{
		v("header", "The x-ms-DeviceCredential header of a browser sign-in.", accept, compact(header, proofClaims, byRSA(k.device)),
			map[string]string{"device_id": vectorDevice, "grant_type": "device_auth", "request_nonce": nonceA}),
		v("other-key", "The signature is by another key than the certificate's.", "signature", compact(header, proofClaims, byRSA(k.other)), nil),
		bad("iss", "iss is not the broker.", `"iss":"aad:brokerplugin"`, `"iss":"aad:other"`),
		bad("no-grant-type", "No grant type: any signed token of the device would do.", `"grant_type":"device_auth",`, ""),
		bad("password-request", "The grant type of a request for a PRT.", `"device_auth"`, `"password"`),
	}
}
