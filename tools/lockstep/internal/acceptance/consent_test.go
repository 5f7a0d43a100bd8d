package acceptance_test

import (
	"slices"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const consentApp = "5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e09"

// TestAPP11_AnAppAsksForConsentAtTheWindow: the page is the app's own. What the user
// allows there is remembered; the PRT has nothing to do with it and stays, and the
// user is asked for nothing that was proven already.
func TestAPP11_AnAppAsksForConsentAtTheWindow(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https, Tenants: tenantsWith(t, "    applications:\n",
				"      - {client_id: "+consentApp+", name: Mail, consent: required}\n")})
			w.join(w.device)
			app, alice := w.device.App(consentApp), w.in("alice")
			silently := func() error {
				_, _, err := app.Token(t.Context(), alice, w.tenant.Resource, true)
				return err
			}
			if err := silently(); prterr.KindOf(err) != prterr.Interaction || prterr.CodeOf(err) != aadsts.ConsentRequired {
				t.Fatalf("silently: %v", err)
			}
			before, _ := w.prt(w.device)
			pages := w.at("alice", pageagent.Password)
			if _, prompts, err := w.ask(alice, consentApp, w.tenant.Resource, pages); prterr.CodeOf(err) != aadsts.AuthorizationDeclined || !slices.Equal(prompts, []string{pageagent.Consent}) {
				t.Errorf("declined: %q, %v", prompts, err)
			}
			if err := silently(); prterr.CodeOf(err) != aadsts.ConsentRequired {
				t.Errorf("silently, after no: %v", err)
			}
			pages.Person.Consents = true
			token, prompts, err := w.ask(alice, consentApp, w.tenant.Resource, pages)
			if err != nil || token == "" || !slices.Equal(prompts, []string{pageagent.Consent}) {
				t.Fatalf("accepted: %q, %v", prompts, err)
			}
			if got := claims[struct {
				AppID string `json:"appid"`
			}](t, token).AppID; got != consentApp {
				t.Errorf("the token is of %q", got)
			}
			if after, _ := w.prt(w.device); after != before {
				t.Error("the PRT is another one")
			}
			if err := silently(); err != nil {
				t.Errorf("silently, after yes: %v", err)
			}
			if _, _, err := app.Token(t.Context(), alice, management, true); prterr.CodeOf(err) != aadsts.ConsentRequired {
				t.Errorf("another resource: %v", err)
			}
			// Hers is hers; and of who has to prove more first, the page for consent asks
			// for nothing but consent.
			mia := w.in("mia")
			pages = w.at("mia", pageagent.SoftwareOATH)
			pages.Person.Consents = true
			if _, prompts, err := w.ask(mia, consentApp, w.tenant.Resource, pages); err != nil || !slices.Equal(prompts, []string{pageagent.SoftwareOATH, pageagent.Consent}) {
				t.Errorf("with a second factor: %q, %v", prompts, err)
			}
		})
	}
}
