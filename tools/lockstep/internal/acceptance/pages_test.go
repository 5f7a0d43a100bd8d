package acceptance_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

// mia has an authenticator that shows codes and approves.
const (
	mia         = "mia@contoso.test"
	miaPassword = "two factors are better"
	miaTOTP     = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
)

// authorizeURL is a visit of the command-line client to the authorization endpoint.
func authorizeURL(more url.Values) string {
	challenge := sha256.Sum256([]byte(strings.Repeat("v", 43)))
	q := url.Values{
		"client_id": {azureCLI}, "redirect_uri": {azureCLIURI}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s1"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for k, v := range more {
		q[k] = v
	}
	return lab.SignInOrigin + "/organizations/oauth2/v2.0/authorize?" + q.Encode()
}

// before puts a person before the pages of the lab.
func (w *world) before(p pageagent.Person) *pageagent.Agent {
	w.t.Helper()
	client, err := w.lab.Web()
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := pageagent.New(pageagent.Config{HTTP: client, Person: p, Origins: []string{"https://sts.adatum.test"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// TestScriptedBrowserAtTheRealPages: the agent goes through the provider's own pages.
func TestScriptedBrowserAtTheRealPages(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	conn, err := w.lab.Dial(t.Context(), "operator", "idp")
	if err != nil {
		t.Fatal(err)
	}
	telephone := directoryv1.NewPersonServiceClient(conn)
	person := pageagent.Person{
		Name: mia, Password: secret.NewText(miaPassword), TOTP: secret.NewText(miaTOTP),
		Approve: func(ctx context.Context, c pageagent.Challenge) error {
			_, err := telephone.AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{
				UserPrincipalName: mia, ChallengeId: c.ID, Number: int32(c.Number), Approve: true,
			})
			return err
		},
	}
	fresh := url.Values{"amr_values": {"ngcmfa"}}
	for method, prefer := range map[string][]string{
		pageagent.SoftwareOATH: {pageagent.Password, pageagent.SoftwareOATH}, pageagent.Push: {pageagent.Password, pageagent.Push},
	} {
		p := person
		p.Prefer = prefer
		final, prompts, err := w.before(p).Run(t.Context(), authorizeURL(fresh), nil)
		if err != nil {
			t.Fatalf("%s: %q, %v", method, prompts, err)
		}
		if q, err := pageagent.Answer(final); err != nil || q.Get("code") == "" || q.Get("state") != "s1" || !slices.Equal(prompts, prefer) {
			t.Errorf("%s: %q, %v, %v", method, prompts, q, err)
		}
	}
	// A session that is there already asks for nothing.
	a := w.before(pageagent.Person{Name: w.tenant.User, Password: w.tenant.Password, Stay: true})
	for _, want := range [][]string{{pageagent.Password}, nil} {
		final, prompts, err := a.Run(t.Context(), authorizeURL(nil), nil)
		if q, bad := pageagent.Answer(final); err != nil || bad != nil || q.Get("code") == "" || !slices.Equal(prompts, want) {
			t.Errorf("%q, %v, %v", prompts, err, bad)
		}
	}
	carol := pageagent.Person{Name: "carol@adatum.test", Password: secret.NewText("federated horse")}
	if final, prompts, err := w.before(carol).Run(t.Context(), authorizeURL(nil), nil); err != nil || !slices.Equal(prompts, []string{pageagent.Federated}) {
		t.Errorf("%s, %q, %v", final, prompts, err)
	}
}

// TestScriptedBrowserIsRefusedAsPeopleAre: what the pages say is the error.
func TestScriptedBrowserIsRefusedAsPeopleAre(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	wrong := pageagent.Person{Name: w.tenant.User, Password: secret.NewText("wrong")}
	if _, prompts, err := w.before(wrong).Run(t.Context(), authorizeURL(nil), nil); prterr.CodeOf(err) != aadsts.InvalidCredentials || !slices.Equal(prompts, []string{pageagent.Password}) {
		t.Errorf("%q, %v", prompts, err)
	}
	if _, _, err := w.before(wrong).Run(t.Context(), authorizeURL(url.Values{"redirect_uri": {"https://evil.test/"}}), nil); prterr.CodeOf(err) != aadsts.InvalidReplyTo {
		t.Errorf("%v", err)
	}
	final, prompts, err := w.before(wrong).Run(t.Context(), authorizeURL(url.Values{"prompt": {"none"}}), http.Header{})
	if _, said := pageagent.Answer(final); err != nil || len(prompts) != 0 || prterr.CodeOf(said) != aadsts.UserInformationMissing {
		t.Errorf("%s, %q, %v, %v", final, prompts, err, said)
	}
	noFactor := pageagent.Person{Name: mia, Password: secret.NewText(miaPassword)}
	if _, _, err := w.before(noFactor).Run(t.Context(), authorizeURL(url.Values{"amr_values": {"ngcmfa"}}), nil); prterr.CodeOf(err) != aadsts.MFARequired {
		t.Errorf("%v", err)
	}
}
