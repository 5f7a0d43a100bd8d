package acceptance_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/pageagent"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	authorityv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/authority/v1"
	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
	idpv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/idp/v1"
	lsav1 "github.com/lockstep-sso/lockstep/proto/gen/prt/lsa/v1"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/actor"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/lab"
)

const helloPIN = "135790"

func miaAtPages() pageagent.Person {
	return pageagent.Person{
		Name: mia, Password: secret.NewText(miaPassword), TOTP: secret.NewText(miaTOTP), Prefer: []string{pageagent.Password, pageagent.SoftwareOATH},
	}
}

// approving is the same person with the telephone at hand.
func (w *world) approving() pageagent.Person {
	conn, err := w.lab.Dial(w.t.Context(), "operator", "idp")
	if err != nil {
		w.t.Fatal(err)
	}
	p := miaAtPages()
	p.Prefer = []string{pageagent.Password, pageagent.Push}
	p.Approve = func(ctx context.Context, c pageagent.Challenge) error {
		_, err := directoryv1.NewPersonServiceClient(conn).AnswerChallenge(ctx, &directoryv1.AnswerChallengeRequest{
			UserPrincipalName: mia, ChallengeId: c.ID, Number: int32(c.Number), Approve: true,
		})
		return err
	}
	return p
}

// logon signs in at LogonUI with any credential.
func (w *world) logon(r *lsav1.LogonUserRequest) (*lsav1.LogonUserResponse, error) {
	return lsav1.NewLogonServiceClient(w.device.LogonUI.LSA).LogonUser(w.t.Context(), r)
}

func (w *world) byPassword(user, password string) *lsav1.LogonUserResponse {
	w.t.Helper()
	a, err := w.logon(&lsav1.LogonUserRequest{UserPrincipalName: user, Credential: &lsav1.LogonUserRequest_Password{Password: password}})
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) byPIN(user, pin string) (*lsav1.LogonUserResponse, error) {
	return w.logon(&lsav1.LogonUserRequest{UserPrincipalName: user, Credential: &lsav1.LogonUserRequest_Pin{Pin: pin}})
}

// show goes to a page as the window of LogonUI or of the broker does.
func (w *world) show(i *authorityv1.Interaction, p pageagent.Person) (final string, prompts []string) {
	w.t.Helper()
	header := http.Header{}
	for _, h := range i.GetHeaders() {
		header.Set(h.GetName(), h.GetValue())
	}
	final, prompts, err := w.before(p).Run(w.t.Context(), i.GetUrl(), header)
	if err != nil {
		w.t.Fatalf("%q: %v", prompts, err)
	}
	return final, prompts
}

func (w *world) begin(r *lsav1.BeginWebSignInRequest) *authorityv1.Interaction {
	w.t.Helper()
	a, err := lsav1.NewWebSignInServiceClient(w.device.LogonUI.LSA).BeginWebSignIn(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.GetInteraction()
}

// onlyPassword holds that a session's PRT proves a password and no more: the policy of
// the tenant about this user refuses its apps.
func (w *world) onlyPassword(session string) {
	w.t.Helper()
	if _, err := w.token(w.device, actor.Desktop{Session: secret.NewText(session)}); prterr.CodeOf(err) != aadsts.MFARequired {
		w.t.Errorf("a password alone: %v", err)
	}
}

// amr are the methods in a token that an app gets in a session.
func (w *world) amr(session string) []string {
	w.t.Helper()
	token, err := w.token(w.device, actor.Desktop{Session: secret.NewText(session)})
	if err != nil {
		w.t.Fatal(err)
	}
	return claims[struct {
		AMR []string `json:"amr"`
	}](w.t, token).AMR
}

// TestHelloOnTheWholeSystem walks through Windows Hello for Business: offered after the
// first sign-in, provisioned with a fresh second factor, used with and without the
// network, beside the password, and each with its own claims.
func TestHelloOnTheWholeSystem(t *testing.T) {
	for name, cfg := range map[string]lab.Config{"gRPC": {TPM: "mem:"}, "HTTPS": {TPM: "mem:", HTTPS: true, NativeSessionKeys: true}} {
		t.Run(name, func(t *testing.T) { helloOnTheWholeSystem(t, cfg) })
	}
}

func helloOnTheWholeSystem(t *testing.T, cfg lab.Config) {
	t.Helper()
	w := newWorld(t, cfg)
	w.join(w.device)
	hello := lsav1.NewHelloServiceClient(w.device.LogonUI.LSA)
	first := w.byPassword(mia, miaPassword)
	if !first.GetHelloOffered() || first.GetCredentialKind() != "password" {
		t.Errorf("HEL01: %v", first)
	}
	w.onlyPassword(first.GetLogonSession())
	if _, err := w.byPIN(mia, helloPIN); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("HEL04: %v", err)
	}
	// The page knows user and device by the PRT, so it asks for the second factor alone.
	page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, LogonSession: first.GetLogonSession()})
	final, prompts := w.show(page, miaAtPages())
	if !slices.Equal(prompts, []string{pageagent.SoftwareOATH}) {
		t.Errorf("asked for %q", prompts)
	}
	made, err := hello.ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{
		LogonSession: first.GetLogonSession(), InteractionId: page.GetInteractionId(), FinalUri: final, Pin: helloPIN,
	})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := hello.DescribeHello(t.Context(), &lsav1.DescribeHelloRequest{LogonSession: first.GetLogonSession()}); err != nil || !d.GetNgcSet() || d.GetKeyId() != made.GetKeyId() {
		t.Errorf("%v, %v", d, err)
	}
	pin, err := w.byPIN(mia, helloPIN)
	if err != nil || pin.GetFromCache() || pin.GetCredentialKind() != "hello" || pin.GetUserId() != first.GetUserId() {
		t.Fatalf("HEL08: %v, %v", pin, err)
	}
	if got := w.amr(pin.GetLogonSession()); !slices.Contains(got, "mfa") || slices.Contains(got, "pwd") {
		t.Errorf("MFA07, amr of Hello: %v", got)
	}
	again := w.byPassword(mia, miaPassword)
	if !again.GetFromCache() {
		t.Errorf("HEL02: %v", again)
	}
	w.onlyPassword(again.GetLogonSession())
	if err := w.device.SetOffline(true); err != nil {
		t.Fatal(err)
	}
	if a, err := w.byPIN(mia, helloPIN); err != nil || !a.GetFromCache() {
		t.Errorf("without a network: %v, %v", a, err)
	}
	if _, err := w.byPIN(mia, "000000"); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("a wrong PIN: %v", err)
	}
}

// TestPagesOnTheWholeSystem: a session of a password gets its second factor at a page,
// and a sign-in to the device happens at one.
func TestPagesOnTheWholeSystem(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	session := w.byPassword(mia, miaPassword).GetLogonSession()
	w.onlyPassword(session)
	conn, err := w.lab.Dial(t.Context(), "wam-broker", w.device.Key("lsa-cloudap"))
	if err != nil {
		t.Fatal(err)
	}
	authority := authorityv1.NewTokenAuthorityServiceClient(conn)
	b, err := authority.BeginInteraction(t.Context(), &authorityv1.BeginInteractionRequest{
		LogonSession: session, Claims: `{"access_token":{"amr":{"essential":true,"values":["mfa"]}}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	final, prompts := w.show(b.GetInteraction(), miaAtPages())
	if !slices.Equal(prompts, []string{pageagent.SoftwareOATH}) {
		t.Errorf("asked for %q", prompts)
	}
	if _, err := authority.CompleteInteraction(t.Context(), &authorityv1.CompleteInteractionRequest{
		LogonSession: session, InteractionId: b.GetInteraction().GetInteractionId(), FinalUri: final,
	}); err != nil {
		t.Fatal(err)
	}
	if got := w.amr(session); !slices.Contains(got, "mfa") || !slices.Contains(got, "pwd") {
		t.Errorf("MFA04, amr %v", got)
	}

	page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_SIGN_IN})
	// The browser has a web session of just now, with two factors: before sign-in it is
	// worth nothing.
	if final, prompts = w.show(page, miaAtPages()); !slices.Equal(prompts, []string{pageagent.Password}) {
		t.Errorf("asked for %q", prompts)
	}
	in, err := w.logon(&lsav1.LogonUserRequest{Credential: &lsav1.LogonUserRequest_WebSignIn{
		WebSignIn: &lsav1.WebSignIn{InteractionId: page.GetInteractionId(), FinalUri: final},
	}})
	if err != nil || in.GetCredentialKind() != "password" || in.GetFromCache() {
		t.Fatalf("%q: %v, %v", prompts, in, err)
	}
	w.onlyPassword(in.GetLogonSession())
}

// TestA19_AnAssertionIsOfNoUseLater, HEL12: what the TPM signs holds a nonce of the
// server and the device's own signature around it. Kept for later it opens nothing; and
// on another device there is no key to make one with, whatever is known of the PIN.
func TestA19_AnAssertionIsOfNoUseLaterOrElsewhere(t *testing.T) {
	w := newWorld(t, lab.Config{TPM: "mem:"})
	w.join(w.device)
	other := w.addDevice()
	w.join(other)
	first := w.byPassword(mia, miaPassword)
	page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, LogonSession: first.GetLogonSession()})
	final, _ := w.show(page, miaAtPages())
	if _, err := lsav1.NewHelloServiceClient(w.device.LogonUI.LSA).ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{
		LogonSession: first.GetLogonSession(), InteractionId: page.GetInteractionId(), FinalUri: final, Pin: helloPIN,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := lsav1.NewLogonServiceClient(other.LogonUI.LSA).LogonUser(t.Context(), &lsav1.LogonUserRequest{
		UserPrincipalName: mia, Credential: &lsav1.LogonUserRequest_Pin{Pin: helloPIN},
	}); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("another device: %v", err)
	}
	// Somebody with the rights of lsa-cloudap keeps what the TPM signed.
	dial := func(key string) grpc.ClientConnInterface {
		conn, err := w.lab.Dial(t.Context(), "lsa-cloudap", key)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	nonce, err := idpv1.NewNonceServiceClient(dial("idp")).IssueNonce(t.Context(), &idpv1.IssueNonceRequest{})
	if err != nil {
		t.Fatal(err)
	}
	state, err := w.device.Operator.DeviceState(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := tpmv1.NewHelloKeyServiceClient(dial(w.device.Key("tpm-agent"))).SignHelloPRTRequest(t.Context(), &tpmv1.SignHelloPRTRequestRequest{
		User:              &tpmv1.HelloUser{TenantId: state.GetTenantId(), UserId: first.GetUserId()},
		UserPrincipalName: mia, Pin: helloPIN, RequestNonce: nonce.GetNonce(),
	})
	if err != nil {
		t.Fatal(err)
	}
	use := func() error {
		_, err := idpv1.NewIssuanceServiceClient(dial("idp")).RequestPRT(t.Context(), &idpv1.RequestPRTRequest{Request: kept.GetRequest()})
		return err
	}
	if err := use(); err != nil {
		t.Fatalf("at once: %v", err)
	}
	if err := w.lab.Advance(t.Context(), 3*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := use(); err == nil {
		t.Error("an assertion of three hours ago made a PRT")
	}
}

// TestHEL10_PINResetOnTheWholeSystem: forgotten at the lock screen, where nobody is
// signed in. With the service the key stays; without it is destroyed, and what the old
// key signed opens nothing any more.
func TestHEL10_PINResetOnTheWholeSystem(t *testing.T) {
	for name, https := range map[string]bool{"gRPC": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) { pinReset(t, lab.Config{TPM: "mem:", HTTPS: https}) })
	}
}

func pinReset(t *testing.T, cfg lab.Config) {
	t.Helper()
	w := newWorld(t, cfg)
	w.join(w.device)
	hello := lsav1.NewHelloServiceClient(w.device.LogonUI.LSA)
	first := w.byPassword(mia, miaPassword)
	page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, LogonSession: first.GetLogonSession()})
	final, _ := w.show(page, w.approving())
	made, err := hello.ProvisionHello(t.Context(), &lsav1.ProvisionHelloRequest{
		LogonSession: first.GetLogonSession(), InteractionId: page.GetInteractionId(), FinalUri: final, Pin: helloPIN,
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := hello.DescribeHello(t.Context(), &lsav1.DescribeHelloRequest{LogonSession: first.GetLogonSession()})
	if err != nil || d.GetCanReset() != "DestructiveAndNonDestructive" {
		t.Fatalf("%v, %v", d, err)
	}
	reset := func(purpose lsav1.WebSignInPurpose, pin string, destructive bool) string {
		t.Helper()
		page := w.begin(&lsav1.BeginWebSignInRequest{Purpose: purpose, LoginHint: mia})
		final, prompts := w.show(page, w.approving())
		a, err := hello.ResetHelloPIN(t.Context(), &lsav1.ResetHelloPINRequest{
			InteractionId: page.GetInteractionId(), FinalUri: final, NewPin: pin, Destructive: destructive, UserPrincipalName: mia,
		})
		if err != nil {
			t.Fatalf("%q: %v", prompts, err)
		}
		if !slices.Equal(prompts, []string{pageagent.Password, pageagent.Push}) {
			t.Errorf("asked for %q", prompts)
		}
		return a.GetKeyId()
	}
	if id := reset(lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_RESET_PIN, "246801", false); id != made.GetKeyId() {
		t.Errorf("non-destructive: key %s became %s", made.GetKeyId(), id)
	}
	if _, err := w.byPIN(mia, helloPIN); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("the old PIN: %v", err)
	}
	old, err := w.byPIN(mia, "246801")
	if err != nil {
		t.Fatal(err)
	}
	if id := reset(lsav1.WebSignInPurpose_WEB_SIGN_IN_PURPOSE_PROVISION_HELLO, "975310", true); id == made.GetKeyId() {
		t.Error("destructive: the key is the same")
	}
	if _, err := w.token(w.device, actor.Desktop{Session: secret.NewText(old.GetLogonSession())}); prterr.KindOf(err) != prterr.Unauthenticated {
		t.Errorf("a session of the destroyed key: %v", err)
	}
	if a, err := w.byPIN(mia, "975310"); err != nil || a.GetFromCache() {
		t.Errorf("the new key: %v, %v", a, err)
	}
}
