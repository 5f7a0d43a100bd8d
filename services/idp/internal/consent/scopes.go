package consent

import (
	"slices"
	"strings"
)

// SignIn is what an application asks for that wants nothing but to know who signs in.
// Whoever allowed it anything allowed that.
const SignIn = "openid"

// Names are the names of scopes as consent keeps them: without their resource, and
// without those of OpenID Connect, unless there are no others. None stands for all of
// the resource (.default).
func Names(scopes []string) []string {
	var out []string
	for _, s := range scopes {
		name := s[strings.LastIndexByte(s, '/')+1:]
		switch name {
		case "openid", "profile", "email", "offline_access", "aza", "ugs", "":
		case ".default":
			return nil
		default:
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	if len(out) == 0 {
		return []string{SignIn}
	}
	return out
}
