package policy

import (
	"strings"

	"github.com/lockstep-sso/lockstep/services/idp/internal/tenant"
)

// PlatformOf is the platform of the device in front of the user: what its device
// object says when it authenticated, else what the user agent claims. Nobody can
// prove a user agent, which is why a policy that rests on it should demand a device
// beside it. Empty when neither says.
func PlatformOf(deviceType, agent string) tenant.Platform {
	if p := platform(deviceType); p != "" {
		return p
	}
	return platform(agent)
}

// platform finds a platform in a text. The order matters: Android says Linux, and
// an iPhone says that it is like Mac OS X.
func platform(text string) tenant.Platform {
	text = strings.ToLower(text)
	for _, row := range []struct {
		word string
		is   tenant.Platform
	}{
		{"android", tenant.Android}, {"iphone", tenant.IOS}, {"ipad", tenant.IOS}, {"ios", tenant.IOS}, {"windows", tenant.Windows},
		{"macos", tenant.MacOS}, {"mac os x", tenant.MacOS}, {"macmdm", tenant.MacOS}, {"linux", tenant.Linux},
	} {
		if strings.Contains(text, row.word) {
			return row.is
		}
	}
	return ""
}
