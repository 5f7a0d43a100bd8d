package pages

import (
	"strings"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// method is how a second factor is shown, by its name on the wire.
type method struct{ icon, key string }

func methodOf(id string) (method, bool) {
	m, known := map[string]method{
		"PhoneAppOTP": {"code", "method.code"}, "PhoneAppNotification": {"phone", "method.push"}, "CompanionAppsNotification": {"phone", "method.push"},
		"OneWaySMS": {"message", "method.sms"}, "ConsolidatedTelephony": {"message", "method.sms"},
		"TwoWayVoiceMobile": {"call", "method.voice"}, "TwoWayVoiceAlternateMobile": {"call", "method.voice"}, "TwoWayVoiceOffice": {"call", "method.voice"},
		"FidoKey": {"passkey", "method.passkey"}, "CertificateKey": {"card", "method.certificate"}, "AccessPass": {"ticket", "method.accesspass"},
	}[id]
	return m, known
}

// MethodIcon is the picture of a second factor.
func (dressed) MethodIcon(id string) string {
	m, _ := methodOf(id)
	return m.icon
}

// MethodName is what a second factor is called. A telephone is told by the end of
// its number, so that people know which one; everybody has one authenticator.
func (d dressed) MethodName(m *idpv1.Method) string {
	known, ok := methodOf(m.GetMethodId())
	if !ok {
		return m.GetMethodId()
	}
	name := d.T(known.key)
	if _, number, told := strings.Cut(m.GetDisplay(), "+"); told {
		name += " (+" + number + ")"
	}
	return name
}

// CodeText says where the code comes from.
func (d dressed) CodeText() string {
	if known, _ := methodOf(d.Wait.MethodID); known.icon == "message" {
		return "factor.sms"
	}
	return "factor.app"
}

// WaitText says what is waited for.
func (d dressed) WaitText() string {
	switch known, _ := methodOf(d.Wait.MethodID); {
	case known.icon == "call":
		return "wait.call"
	case d.Wait.Entropy != 0:
		return "wait.number"
	default:
		return "wait.push"
	}
}

// WaitButton goes on without a script.
func (d dressed) WaitButton() string {
	if known, _ := methodOf(d.Wait.MethodID); known.icon == "call" {
		return "wait.answered"
	}
	return "wait.approved"
}

// StateText says how a challenge stands.
func (d dressed) StateText() string {
	if d.Wait.Again {
		return "wait.notyet"
	}
	return "wait.pending"
}
