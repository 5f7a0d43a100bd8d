package acceptance_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust/cardtest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/demo"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/securityinfo"
)

// passwordless is policy A without its exception.
var passwordless = strings.Replace(policyA, "exclude_resources: ["+management+"]", "exclude_resources: []", 1)

// TestCA11_TheFactorIsAskedForInOneCaseOfEight: the PRT is not used, the resource is
// outside of policy A, and a second factor is demanded. Whenever one of the three is
// missing, neither the authenticator nor a text message is asked for.
func TestCA11_TheFactorIsAskedForInOneCaseOfEight(t *testing.T) {
	for factor, who := range map[string]string{pageagent.Push: "mia", pageagent.SMS: "nora"} {
		t.Run(factor, func(t *testing.T) { oneCaseOfEight(t, who, factor) })
	}
}

func oneCaseOfEight(t *testing.T, who, factor string) {
	t.Helper()
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	hello := w.setUpHello(who, w.at(who, pageagent.SoftwareOATH))
	var asked []string
	for _, demanded := range []bool{false, true} {
		document := policyA
		if demanded {
			document += anyFactor
		}
		w.policies(document)
		for _, outside := range []bool{false, true} {
			resource := map[bool]string{false: w.tenant.Resource, true: management}[outside]
			for _, private := range []bool{false, true} {
				prompts, err := w.visit(hello, resource, private, w.at(who, pageagent.Password, factor))
				name := fmt.Sprintf("private %v, outside %v, demanded %v", private, outside, demanded)
				if slices.ContainsFunc(prompts, func(p string) bool { return p != pageagent.Password }) {
					asked = append(asked, name+": "+strings.Join(prompts, " "))
				}
				// Inside of the policy a private window is no way in: nothing that this person
				// takes at a page is passwordless.
				if in := !private || outside; in != (err == nil) {
					t.Errorf("%s: %q, %v", name, prompts, err)
				}
				if !private && len(prompts) != 0 {
					t.Errorf("%s: %q", name, prompts)
				}
			}
		}
	}
	if want := []string{"private true, outside true, demanded true: password " + factor}; !slices.Equal(asked, want) {
		t.Errorf("asked in %q", asked)
	}
}

// withKey gives a person a security key, registered on the pages for it.
func (w *world) withKey(who string) *pageagent.Config {
	w.t.Helper()
	pages := w.at(who, pageagent.Password, pageagent.SoftwareOATH)
	visitor, err := securityinfo.New(securityinfo.Config{HTTP: pages.HTTP, Origin: lab.SignInOrigin, Person: pages.Person})
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := visitor.RegisterKey(w.t.Context(), "Key on the chain")
	if err != nil {
		w.t.Fatal(err)
	}
	fresh := w.at(who, pageagent.FIDO2)
	fresh.Person.Passkey = key
	return &fresh
}

// withCard puts a person with a card into a browser.
func (w *world) withCard(who string, card cardtest.Card) *pageagent.Config {
	w.t.Helper()
	pages := w.at(who, pageagent.Certificate)
	transport, ok := pages.HTTP.Transport.(*http.Transport)
	if !ok {
		w.t.Fatalf("the browser's transport is %T", pages.HTTP.Transport)
	}
	transport.TLSClientConfig.Certificates = []tls.Certificate{card.TLS()}
	pages.Person.Certificate = true
	return &pages
}

// TestHEL06_HEL07_CA13_WhatLeadsToAHelloKey: without a policy any second factor; under
// the passwordless one neither a text message nor an approval, and whoever has nothing
// else cannot set it up; and never a password alone. A certificate counts as what the
// tenant says of its issuer.
func TestHEL06_HEL07_CA13_WhatLeadsToAHelloKey(t *testing.T) {
	type row struct {
		who   string
		takes []string
		// without and under say whether it works without a policy and under that one.
		without, under bool
	}
	rows := map[string]row{
		"text message":  {"nora", []string{pageagent.SMS}, true, false},
		"one-time code": {"nora", []string{pageagent.SoftwareOATH}, true, false},
		"approval":      {"mia", []string{pageagent.Push}, true, false},
		// On top of a password the same telephone approves, unless a policy wants more.
		"phone sign-in":      {"nora", []string{pageagent.PhoneSignIn, pageagent.Push}, true, true},
		"security key":       {"nora", []string{pageagent.FIDO2}, true, true},
		"two-factor card":    {"nora", []string{pageagent.Certificate}, true, true},
		"one-factor card":    {"mia", []string{pageagent.Certificate}, false, false},
		"password alone":     {"nora", []string{pageagent.Password}, false, false},
		"nothing registered": {"alice", []string{pageagent.Password, pageagent.SMS}, false, false},
		"no spare methods":   {"mia", []string{pageagent.Push, pageagent.SoftwareOATH, pageagent.SMS, pageagent.PhoneSignIn}, true, false},
	}
	strong, weak := cardtest.NewAuthority(t, time.Now()), cardtest.NewAuthority(t, time.Now())
	for name, r := range rows {
		for _, under := range []bool{false, true} {
			policies, works := "policies: []", r.without
			if under {
				policies, works = passwordless, r.under
			}
			t.Run(fmt.Sprintf("%s, passwordless %v", name, under), func(t *testing.T) {
				w := newWorld(t, lab.Config{TPM: "mem:", Tenants: cardTenants(t, strong, weak)})
				w.join(w.device)
				pages := w.at(r.who, r.takes...)
				switch {
				case slices.Contains(r.takes, pageagent.FIDO2):
					pages = *w.withKey(r.who)
				case slices.Contains(r.takes, pageagent.Certificate):
					issuer := strong
					if r.who == "mia" {
						issuer = weak
					}
					pages = *w.withCard(r.who, issuer.Issue(demo.People()[r.who].UPN))
				}
				w.policies(policies)
				prompts, err := w.device.LogonUI.SetUpHello(t.Context(), w.in(r.who), pages, secret.NewText(helloPIN))
				if works != (err == nil) {
					t.Errorf("%q, %v", prompts, err)
				}
				if works && (len(prompts) != 1 || !slices.Contains(r.takes, prompts[0])) {
					t.Errorf("asked for %q", prompts)
				}
			})
		}
	}
}

// cardTenants are the embedded ones that take cards of two issuers.
func cardTenants(t *testing.T, strong, weak *cardtest.Authority) string {
	t.Helper()
	text := "    certificate_authorities:\n"
	for name, a := range map[string]*cardtest.Authority{"{name: Cards with a PIN, multi_factor: true": strong, "{name: Cards without": weak} {
		file := keep(t, "authority.pem", a.PEM())
		text += fmt.Sprintf("      - %s, file: %q}\n", name, file)
	}
	return tenantsWith(t, "    region: EU\n", text)
}

// TestISS17_ASecurityKeyAtAPage: registered on the pages for it and used at web sign-in,
// it has a partition of its own beside the password's.
func TestISS17_ASecurityKeyAtAPage(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lab.Config{TPM: "mem:", HTTPS: https})
			w.join(w.device)
			password := w.in("nora")
			d, prompts, _, err := w.device.LogonUI.SignInAtPage(t.Context(), nora, *w.withKey("nora"))
			if err != nil || d.Kind != "fido" || d.FromCache || d.UserID != password.UserID || !slices.Equal(prompts, []string{pageagent.FIDO2}) {
				t.Fatalf("%q, %+v, %v", prompts, d, err)
			}
			parts, err := w.device.Operator.SSOState(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, p := range parts {
				kinds = append(kinds, p.GetCredentialKind())
			}
			if !slices.Equal(kinds, []string{"fido", "password"}) {
				t.Errorf("partitions %v", kinds)
			}
			// MFA07: two factors in one touch, which the tenant's policy wants of her.
			if got := w.amr(d.Session.Reveal()); !slices.Contains(got, "fido") || !slices.Contains(got, "mfa") || slices.Contains(got, "pwd") {
				t.Errorf("amr %v", got)
			}
			w.onlyPassword(password.Session.Reveal())
			w.policies(passwordless)
			if _, err := w.token(w.device, actor.Desktop{Session: d.Session}); err != nil {
				t.Errorf("under the passwordless policy: %v", err)
			}
		})
	}
}
