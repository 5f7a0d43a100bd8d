package idptest_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/services/idp/idptest"
)

// A test of a client: the client under test gets addresses and trust from the
// tenant, and the test moves time and directory.
func Example() {
	var t *testing.T // that of the test
	tenant := idptest.New(t,
		idptest.WithProfile("strict"),
		idptest.WithUser(idptest.User{UPN: "bea@contoso.test", Password: "a password of hers"}))

	// By its own http.Client, or by tenant.ProxyURL and tenant.CAFile.
	resp, err := tenant.HTTPClient().PostForm(tenant.TokenEndpoint, url.Values{"grant_type": {"srv_challenge"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	tenant.Clock.Advance(15 * 24 * time.Hour)
	if err := tenant.Admin.DisableUser(context.Background(), tenant.User); err != nil {
		t.Fatal(err)
	}
	for _, event := range tenant.SignIns() {
		t.Log(event.Flow, event.Outcome, event.Code)
	}
}
