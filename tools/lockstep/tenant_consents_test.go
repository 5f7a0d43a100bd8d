package main

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	directoryv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/directory/v1"
)

func (c *clerk) ListConsents(_ context.Context, r *directoryv1.ListConsentsRequest) (*directoryv1.ListConsentsResponse, error) {
	out := &directoryv1.ListConsentsResponse{}
	if r.GetTenantId() == contoso {
		out.Consents = []*directoryv1.Consent{
			{ClientId: "a1", UserPrincipalName: "alice@contoso.test", Resource: "https://graph.microsoft.com", Scopes: []string{"User.Read", "Mail.Read"}}, {ClientId: "a2"},
		}
	}
	return note(c, r, out)
}

func (c *clerk) RevokeConsent(_ context.Context, r *directoryv1.RevokeConsentRequest) (*directoryv1.RevokeConsentResponse, error) {
	return note(c, r, &directoryv1.RevokeConsentResponse{})
}

func TestOBS08_Consents(t *testing.T) {
	c, dir := office(t)
	for line, want := range map[string]proto.Message{
		"revoke a1 --tenant contoso.test":                           &directoryv1.RevokeConsentRequest{TenantId: contoso, ClientId: "a1"},
		"revoke a1 --tenant contoso.test --user alice@contoso.test": &directoryv1.RevokeConsentRequest{TenantId: contoso, ClientId: "a1", UserPrincipalName: "alice@contoso.test"},
		"list --tenant adatum.test":                                 &directoryv1.ListConsentsRequest{TenantId: fabrikam},
	} {
		if out, err := command(t, append([]string{"tenant", "consent"}, append(strings.Fields(line), "--state", dir)...)...); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if got := c.last(); !proto.Equal(got, want) {
			t.Errorf("%s asked %v, want %v", line, got, want)
		}
	}
	out, err := command(t, "tenant", "consent", "list", "--state", dir)
	for _, want := range []string{"a1", "alice@contoso.test", "https://graph.microsoft.com", "User.Read", "Mail.Read", "a2", "(administrator)", "(sign-in)"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("no %s: %v\n%s", want, err, out)
		}
	}
	if _, err := command(t, "tenant", "consent", "revoke", "a1", "--state", dir); err == nil {
		t.Error("of which tenant nobody said")
	}
}
