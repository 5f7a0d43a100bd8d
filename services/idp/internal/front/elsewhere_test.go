package front_test

import (
	"strings"
	"testing"

	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
)

// TestFormsOfOtherSites: a browser says which page posts a form. Clients that are
// no browsers say nothing.
func TestFormsOfOtherSites(t *testing.T) {
	const submit = idpv1.SignInService_SubmitPassword_FullMethodName
	for origin, taken := range map[string]bool{
		"": true, "https://" + login: true, "https://" + strings.ToUpper(login): true,
		"https://evil.test": false, "null": false, "https://" + login + ".evil.test": false, "https://" + login + ":8443": false, "%": false,
	} {
		c := newCloud()
		always(c, submit, &idpv1.SubmitPasswordResponse{Next: signedIn("query")})
		request := post("/common/login", "login=a%40x.test&passwd=p&flowToken=f&canary=c")
		if origin != "" {
			request = strings.Replace(request, "\n\n", "\nOrigin: "+origin+"\n\n", 1)
		}
		r := raw(t, c, request)
		if c.called(submit) != taken {
			t.Errorf("Origin %q: %d, taken %v", origin, r.StatusCode, !taken)
		}
		if !taken && !strings.Contains(r.text, "another site") {
			t.Errorf("Origin %q: %s", origin, r.text)
		}
	}
}
