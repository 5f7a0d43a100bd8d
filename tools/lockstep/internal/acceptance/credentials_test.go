package acceptance_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/wstrust/cardtest"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const nora, noraPassword = "nora@contoso.test", "every method has its day"

// byPage signs in to the device at a page.
func (w *world) byPage(p pageagent.Person) *lsav1.LogonUserResponse {
	w.t.Helper()
	page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN, LoginHint: p.Name})
	final, prompts := w.show(page, p)
	a, err := w.logon(&lsav1.LogonUserRequest{UserPrincipalName: p.Name, Credential: &lsav1.LogonUserRequest_WebSignIn{
		WebSignIn: &lsav1.WebSignIn{InteractionId: page.GetInteractionId(), FinalUri: final},
	}})
	if err != nil {
		w.t.Fatalf("%q: %v", prompts, err)
	}
	return a
}

// TestISS17_APRTForEachCredential: a person with many ways to sign in has a partition
// for each, and each says what it proves.
func TestISS17_APRTForEachCredential(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	conn, err := w.lab.Dial(t.Context(), "operator", "idp")
	if err != nil {
		t.Fatal(err)
	}
	person := pageagent.Person{
		Name: nora, Password: secret.NewText(noraPassword),
		Approve: func(ctx context.Context, c pageagent.Challenge) error {
			_, err := directoryv1.NewPersonServiceClient(conn).AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{
				UserPrincipalName: nora, ChallengeId: c.ID, Number: int32(c.Number), Approve: true,
			})
			return err
		},
	}
	sessions := map[string]string{}
	sessions["password"] = w.byPassword(nora, noraPassword).GetLogonSession()

	phone := person
	phone.Prefer = []string{pageagent.PhoneSignIn}
	sessions["web"] = w.byPage(phone).GetLogonSession()

	pass, err := directoryv1.NewAdminServiceClient(conn).IssueAccessPass(t.Context(), &directoryv1.IssueAccessPassRequest{UserPrincipalName: nora, LifetimeSeconds: 3600})
	if err != nil {
		t.Fatal(err)
	}
	tap := person
	tap.AccessPass, tap.Prefer = secret.NewText(pass.GetAccessPass()), []string{pageagent.AccessPass}
	sessions["tap"] = w.byPage(tap).GetLogonSession()

	page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, LogonSession: sessions["web"]})
	fresh := person
	fresh.Prefer = []string{pageagent.Push, pageagent.PhoneSignIn}
	final, _ := w.show(page, fresh)
	if _, err := lsav1.NewHelloServiceClient(w.device.LogonUI.LSA).ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{
		LogonSession: sessions["web"], InteractionId: page.GetInteractionId(), FinalUri: final, Pin: helloPIN,
	}); err != nil {
		t.Fatal(err)
	}
	pin, err := w.byPIN(nora, helloPIN)
	if err != nil {
		t.Fatal(err)
	}
	sessions["hello"] = pin.GetLogonSession()

	parts, err := w.device.Operator.SSOState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, p := range parts {
		kinds = append(kinds, p.GetCredentialKind())
	}
	if !slices.Equal(kinds, []string{"hello", "password", "tap", "web"}) {
		t.Errorf("partitions %v", kinds)
	}
	// MFA07: the tenant's policy wants two factors of her, which the password is not.
	w.onlyPassword(sessions["password"])
	for kind, value := range map[string]string{"web": "rsa", "tap": "tap", "hello": "rsa"} {
		if got := w.amr(sessions[kind]); !slices.Contains(got, "mfa") || !slices.Contains(got, value) || slices.Contains(got, "pwd") {
			t.Errorf("%s: amr %v", kind, got)
		}
	}
	w.onlyPassword(sessions["password"])
	// Without a network, the ones that only the identity provider can judge stay out.
	if err := w.device.SetOffline(true); err != nil {
		t.Fatal(err)
	}
	if _, err := lsav1.NewWebSignInServiceClient(w.device.LogonUI.LSA).BeginWebSignIn(t.Context(), &lsav1.BeginWebSignInRequest{
		Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN,
	}); prterr.KindOf(err) != prterr.Unavailable {
		t.Errorf("a page without a network: %v", err)
	}
	if a, err := w.byPIN(nora, helloPIN); err != nil || !a.GetFromCache() {
		t.Errorf("PIN without a network: %v", err)
	}
}

// TestISS17_ASmartCardThroughAFederationProvider: over both carriers, beside the password
// of the same user. MFA09: it is a second factor where the provider claims it and the
// tenant takes the provider's word, and nowhere else.
func TestISS17_ASmartCardThroughAFederationProvider(t *testing.T) {
	for name, c := range map[string]struct{ https, claimed, accepted bool }{
		"plain": {}, "claimed, over HTTPS": {true, true, false}, "accepted": {false, false, true}, "claimed and accepted": {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			authority := cardtest.NewAuthority(t, time.Now())
			file := filepath.Join(t.TempDir(), "cards.pem")
			if err := os.WriteFile(file, authority.PEM(), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg := lab.Config{TPM: "mem:", HTTPS: c.https, SmartCards: file, CardsAreTwoFactors: c.claimed}
			if c.accepted {
				cfg.Tenants = trustingTenants(t)
			}
			w := newWorld(t, cfg)
			w.tenant.User, w.tenant.Password = "frank@fabrikam.test", secret.NewText("fabrikam makes everything")
			w.join(w.device)
			const carol = "carol@adatum.test"
			card := authority.Issue(carol)
			prove := func() *lsav1.LogonUserRequest {
				p := card.Prove(carol, time.Now())
				return &lsav1.LogonUserRequest{UserPrincipalName: carol, Credential: &lsav1.LogonUserRequest_SmartCard{SmartCard: &lsav1.SmartCard{
					Chain: p.Chain, CreatedAt: timestamppb.New(p.Created), Signature: p.Signature,
				}}}
			}
			a, err := w.logon(prove())
			if err != nil || a.GetCredentialKind() != "smartcard" || a.GetFromCache() {
				t.Fatalf("%v, %v", a, err)
			}
			b := w.byPassword(carol, "federated horse")
			if b.GetCredentialKind() != "password" || b.GetUserId() != a.GetUserId() {
				t.Errorf("password: %v", b)
			}
			if got := w.amr(a.GetLogonSession()); slices.Contains(got, "mfa") != (c.claimed && c.accepted) {
				t.Errorf("amr of the card: %v", got)
			}
			if got := w.amr(b.GetLogonSession()); slices.Contains(got, "mfa") {
				t.Errorf("amr of the password: %v", got)
			}
			spoiled := prove()
			spoiled.GetSmartCard().Signature[0] ^= 1
			if _, err := w.logon(spoiled); prterr.KindOf(err) != prterr.Unauthenticated {
				t.Errorf("a signature of another key: %v", err)
			}
		})
	}
}

// trustingTenants are the embedded ones, but that the federated domain is believed.
func trustingTenants(t *testing.T) string {
	t.Helper()
	return tenantsWith(t, "      - name: adatum.test\n", "        federated_mfa: accept\n")
}

// tenantsWith are the embedded tenants with something behind the first place of a text.
func tenantsWith(t *testing.T, after, more string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.FromSlash("../../../../services/idp/internal/tenant/default.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), after, after+more, 1)
	if text == string(raw) {
		t.Fatalf("the embedded tenants have no %q", after)
	}
	return keep(t, "tenants.yaml", []byte(text))
}

// keep writes a file for this test.
func keep(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
