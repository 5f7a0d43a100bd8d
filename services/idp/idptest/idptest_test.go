package idptest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/services/idp/idptest"
)

// quickest is the shortest of some starts: a machine may be busy with other tests.
func quickest(start func()) time.Duration {
	best := time.Hour
	for range 5 {
		began := time.Now()
		start()
		if best = min(best, time.Since(began)); best < time.Second {
			break
		}
	}
	return best
}

func TestDEP03_ATenantInAUnitTest(t *testing.T) {
	var tenant *idptest.Tenant
	if took := quickest(func() { tenant = idptest.New(t) }); took > time.Second {
		t.Errorf("the start took %v", took)
	}
	reached := func(c *http.Client, url string) {
		t.Helper()
		resp, err := c.Get(url)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusMisdirectedRequest {
			t.Errorf("%s is not served", url)
		}
	}
	for _, url := range []string{tenant.Authority, tenant.Metadata, tenant.DRS + "/x", tenant.Graph, tenant.BaseURL, "https://tenant.lockstep.test/"} {
		reached(tenant.HTTPClient(), url)
	}
	if resp, err := tenant.HTTPClient().Get("https://www.example.org/"); err == nil {
		_ = resp.Body.Close()
		t.Error("the client goes to other hosts")
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		Token  string `json:"token_endpoint"`
	}
	resp, err := tenant.HTTPClient().Get(tenant.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	err = json.NewDecoder(resp.Body).Decode(&metadata)
	_ = resp.Body.Close()
	if err != nil || metadata.Issuer != tenant.Issuer || metadata.Token != tenant.TokenEndpoint {
		t.Errorf("the metadata: %s, %+v, %v", resp.Status, metadata, err)
	}
	// A client of one's own, by proxy and file.
	pem, err := os.ReadFile(tenant.CAFile)
	if err != nil || !bytes.Equal(pem, tenant.CAPEM) {
		t.Errorf("the file: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	tr := &http.Transport{Proxy: http.ProxyURL(tenant.ProxyURL), TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer tr.CloseIdleConnections()
	reached(&http.Client{Transport: tr, Timeout: 5 * time.Second}, tenant.Authority)
	if tenant.User != "alice@contoso.test" || tenant.Password == "" || tenant.Domain != "contoso.test" || !strings.Contains(tenant.TokenEndpoint, tenant.ID) {
		t.Errorf("%+v", tenant)
	}
}

func TestDEP03_OperatorAndClock(t *testing.T) {
	clk := clock.NewLab()
	tenant := idptest.New(t, idptest.WithClock(clk), idptest.WithProfile("strict"), idptest.WithUser(idptest.User{UPN: "bea@contoso.test", Password: "a password of hers"}))
	before := tenant.Clock.Now()
	clk.Advance(24 * time.Hour)
	if tenant.Clock != clk || tenant.Clock.Now().Sub(before) < 24*time.Hour {
		t.Error("the clock is another one")
	}
	if tenant.User != "bea@contoso.test" || tenant.Password != "a password of hers" {
		t.Errorf("the user is %s", tenant.User)
	}
	ctx := t.Context()
	for name, err := range map[string]error{
		"disable":  tenant.Admin.DisableUser(ctx, tenant.User),
		"enable":   tenant.Admin.EnableUser(ctx, tenant.User),
		"password": tenant.Admin.SetPassword(ctx, tenant.User, "another one of hers"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if devices, err := tenant.Admin.Devices(ctx); err != nil || len(devices) != 0 {
		t.Errorf("%v, %v", devices, err)
	}
	if err := tenant.Admin.DisableUser(ctx, "nobody@contoso.test"); prterr.KindOf(err) != prterr.NotFound {
		t.Errorf("an unknown user: %v", err)
	}
	if err := tenant.Admin.SetDeviceEnabled(ctx, "x", true); prterr.KindOf(err) != prterr.Invalid {
		t.Errorf("no device id: %v", err)
	}
}

func TestDEP03_ATenantFile(t *testing.T) {
	file := func(name string) string {
		return fmt.Sprintf("  - id: %s\n    display_name: X\n    domains: [{name: %s.test}]\n    users:\n      - {id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01, upn: me@%s.test, display_name: Me, password: a password of mine}\n",
			map[string]string{"one": "6babcaad-604b-40ac-a9d7-9fd97c0b7791", "two": "6babcaad-604b-40ac-a9d7-9fd97c0b7792"}[name], name, name)
	}
	two := strings.Replace(file("two"), "7a01", "7a02", 1)
	tenant := idptest.New(t, idptest.WithTenants([]byte("tenants:\n"+file("one")+two)))
	if all := tenant.Tenants(); len(all) != 2 || tenant.Domain != "one.test" || tenant.User != "me@one.test" || all[1].Domains[0].Name != "two.test" {
		t.Errorf("%+v, %+v", tenant, all)
	}
}

// recorder takes what New says of its failure in place of a test. Everything it
// does not have is the real test's.
type recorder struct {
	testing.TB
	said string
}

type failed struct{}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	panic(failed{})
}

func TestWhatCannotBeStartedIsSaid(t *testing.T) {
	for want, opts := range map[string][]idptest.Option{
		"profile":                   {idptest.WithProfile("1999")},
		"tenants[0].users[0].upn":   {idptest.WithUser(idptest.User{UPN: "x@elsewhere.test", Password: "long enough"})},
		"stands for the whole file": {idptest.WithTenants([]byte("tenants: []")), idptest.WithProfile("strict")},
		"tenants":                   {idptest.WithTenants([]byte("tenants: []"))},
	} {
		r := &recorder{TB: t}
		func() {
			defer func() {
				if p := recover(); p != nil && p != (failed{}) {
					panic(p)
				}
			}()
			idptest.New(r, opts...)
		}()
		if !strings.Contains(r.said, want) {
			t.Errorf("%q is not in %q", want, r.said)
		}
	}
}
