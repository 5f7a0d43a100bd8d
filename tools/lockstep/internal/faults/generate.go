package faults

import (
	"fmt"
	"math/rand/v2"
)

// Generate draws a session of n lines from a seed: the same seed draws the same session.
func Generate(seed uint64, n int) Session {
	g := generator{rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // a session has to come again, and is no secret
	s := Session{"join user=alice"}
	if g.IntN(3) == 0 { // now and then the join itself meets a fault
		s = Session{g.fault(), "join user=alice", "join user=alice"}
	}
	s = append(s, "sign-in user=alice")
	for len(s) < n {
		s = append(s, g.line())
	}
	return s[:n]
}

type generator struct{ *rand.Rand }

func (g generator) line() string {
	user := pick(g, "alice", "alice", "bob")
	switch g.IntN(16) {
	case 0, 1, 2, 3:
		return "sign-in user=" + user
	case 4:
		return "sign-in user=" + user + " password=wrong"
	case 5, 6, 7:
		return "token fresh user=" + user
	case 8, 9:
		return "browse user=" + user
	case 10:
		return "sign-out user=" + user
	case 11:
		return "restart component=" + pick(g, "lsa-cloudap", "wam-broker", "dsreg")
	case 12:
		return pick(g, "join user=alice", "state", "device")
	case 13:
		return "heal " + pick(g, keys()...)
	default:
		return g.fault()
	}
}

// keys are the components whose calls a session breaks.
func keys() []string {
	return []string{"idp", "idp", "device-1/tpm-agent", "device-1/dsreg", "device-1/lsa-cloudap", "device-1/wam-broker"}
}

// fields are answers worth breaking, by component.
func fields(key string) [][2]string {
	return map[string][][2]string{
		"idp": {
			{"IssuanceService/RequestPRT", "session_key_jwe"}, {"IssuanceService/RequestPRT", "refresh_token"}, {"TokenService/*", "answer"},
			{"DeviceRegistrationService/RegisterDevice", "certificate"}, {"NonceService/IssueNonce", "nonce"},
		},
		"device-1/tpm-agent":   {{"PRTKeyService/SignPRTRequest", "request"}, {"PRTKeyService/SignTokenRequest", "request"}, {"PRTKeyService/SignPRTCookie", "cookie"}},
		"device-1/dsreg":       {{"DeviceStateService/GetDeviceState", "device_id"}, {"DeviceStateService/GetDeviceState", "tenant_id"}},
		"device-1/lsa-cloudap": {{"TokenAuthorityService/SignTokenRequest", "request"}, {"CookieAuthorityService/CreatePRTCookie", "value"}, {"LogonService/LogonUser", "user_id"}},
		"device-1/wam-broker":  {{"BrokerService/RequestToken", "access_token"}},
	}[key]
}

// fault is a line that breaks some calls: nothing that takes time, because how long is no
// matter of the seed.
func (g generator) fault() string {
	key := pick(g, keys()...)
	when := fmt.Sprintf("(not (caller operator)) (%s %d)", pick(g, "first", "nth", "from"), 1+g.IntN(4))
	var rule string
	switch g.IntN(5) {
	case 0:
		rule = "(unavailable " + when + ")"
	case 1:
		rule = "(execute-then-timeout " + when + ")"
	case 2:
		rule = "(duplicate " + when + ")"
	case 3:
		rule = fmt.Sprintf("(answer %s %s)", pick(g, "denied", "invalid", "unavailable", "exhausted", "keys_lost"), when)
	default:
		f := pick(g, fields(key)...)
		rule = fmt.Sprintf("(corrupt %q (method %q) (%s %d))", f[1], f[0], pick(g, "first", "nth"), 1+g.IntN(2))
	}
	return "fault " + key + " " + rule
}

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }
