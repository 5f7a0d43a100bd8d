package describe

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// secretValue says why a value is left out, or nothing where it may be seen. A name that
// sounds like a secret hides its value, and so does a value that is a token itself,
// wherever it stands: to see too little is a nuisance, to show a PRT is a theft.
func secretValue(name string, raw json.RawMessage) string {
	lower := strings.ToLower(name)
	if lower == "token_type" || lower == "kid" || lower == "x5t" {
		return ""
	}
	for _, word := range []string{"password", "passwd", "pwd", "secret", "token", "assertion", "verifier", "code", "credential", "session_key", "protection_key", "private", "pin", "jwk", "cookie", "otp"} {
		if strings.Contains(lower, word) && !publicName(lower) {
			return hidden(raw)
		}
	}
	if holdsToken(raw) {
		return hidden(raw)
	}
	return ""
}

// publicName has the names that sound like secrets and are none.
func publicName(lower string) bool {
	switch lower {
	case "pwd_exp", "pwd_url", "tokentype", "cnf", "ipaddr", "code_challenge", "code_challenge_method", "password_expiry":
		return true
	}
	return false
}

func hidden(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return fmt.Sprintf("(%d characters, hidden)", len(text))
	}
	return "(hidden)"
}

// holdsToken reports whether there is a compact token anywhere in a value, or members of
// a private key.
func holdsToken(raw json.RawMessage) bool {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return true
	}
	return secretInside(v)
}

func secretInside(v any) bool {
	switch v := v.(type) {
	case string:
		return len(v) > 40 && strings.HasPrefix(v, "eyJ")
	case []any:
		for _, one := range v {
			if secretInside(one) {
				return true
			}
		}
	case map[string]any:
		for name, one := range v {
			switch name {
			case "d", "p", "q", "dp", "dq", "qi", "k", "oth": // RFC 7518 6: private members
				return true
			}
			raw, err := json.Marshal(one)
			if err != nil || name != "jwk" && secretValue(name, raw) != "" || secretInside(one) {
				return true
			}
		}
	}
	return false
}

// note says what a member is for.
func note(name string) string {
	return map[string]string{
		"alg": "how it is signed or encrypted", "enc": "how the content is encrypted", "kid": "which key signed it", "typ": "form", "x5c": "certificate of the signer",
		"ctx": "what the signing key is derived with, from the session key", "kdf_ver": "form of that derivation; 2 binds it to the content",
		"aud": "for whom it is", "iss": "who issued it", "tid": "tenant", "oid": "user, by object id", "sub": "user, for this application", "upn": "user, by name",
		"appid": "application that asked", "azp": "application that asked", "scp": "what it may be used for", "roles": "what it may be used for", "exp": "good until",
		"nbf": "good from", "iat": "issued at", "amr": "how the user proved who they are", "acr": "strength of the sign-in", "acrs": "authentication contexts that are met",
		"deviceid": "device that the user signed in on", "auth_time": "when the user signed in", "mfa_time": "when the second factor was proven", "is_primary": "the token inside is a PRT",
		"request_nonce": "nonce of the server, which makes it fresh", "nonce": "nonce of who asked", "grant_type": "what is asked with", "client_id": "who asks", "win_ver": "version of the device",
		"refresh_token": "the PRT or refresh token that it is about", "scope": "what is asked for", "resource": "for which service", "xms_cc": "what the client can do (cp1: continuous access)",
	}[name]
}

// Write writes a token for people.
func Write(w io.Writer, t Token) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", t.Kind)
	write := func(title string, all []Member) {
		if len(all) == 0 {
			return
		}
		fmt.Fprintf(&b, "  %s\n", title)
		width := 0
		for _, m := range all {
			width = max(width, len(m.Name))
		}
		for _, m := range all {
			fmt.Fprintf(&b, "    %-*s  %s", width, m.Name, m.Value)
			if m.Note != "" {
				fmt.Fprintf(&b, "  # %s", m.Note)
			}
			b.WriteByte('\n')
		}
	}
	write("header", t.Header)
	write("claims", t.Claims)
	for _, p := range t.Parts {
		fmt.Fprintf(&b, "  %s\n", p)
	}
	b.WriteString("  nothing here is verified: it shows what is written there, not that it is true\n")
	_, err := io.WriteString(w, b.String())
	return err
}
