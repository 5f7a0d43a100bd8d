package serve

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/lockstep-sso/lockstep/tools/conformance/internal/browser"
)

// World is what stands in testdata/tenants.yaml, by the names of the environment.
func World() [][2]string {
	return [][2]string{
		{"CONF_TENANT", "6babcaad-604b-40ac-a9d7-9fd97c0b779f"},
		{"CONF_DOMAIN", "contoso.test"},
		{"CONF_LOGIN", "login.microsoftonline.com"},
		{"CONF_USER", "alice@contoso.test"},
		{"CONF_PASSWORD", "correct horse battery staple"},
		{"CONF_USER_OID", "1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01"},
		// People with an authenticator: a code is good once, so every case that types
		// one has a user of its own. A policy asks mia, fay and lin for it always.
		{"CONF_FACTOR_PASSWORD", "people with an authenticator"},
		{"CONF_MFA_USER", "mia@contoso.test"},
		{"CONF_MFA_WINDOW_USER", "fay@contoso.test"},
		{"CONF_MFA_BROKER_USER", "lin@contoso.test"},
		{"CONF_ENRICH_USER", "nora@contoso.test"},
		{"CONF_ENRICH_WINDOW_USER", "flo@contoso.test"},
		{"CONF_HELLO_USER", "hana@contoso.test"},
		{"CONF_NOJOIN_USER", "dave@contoso.test"},
		{"CONF_NOJOIN_PASSWORD", "no devices for dave"},
		{"CONF_DISABLED_USER", "olga@contoso.test"},
		{"CONF_DISABLED_PASSWORD", "olga is blocked at the door"},
		// A policy over each of these comes while the client runs: it is asked for more.
		{"CONF_CLAIMS_PYTHON_USER", "ines@contoso.test"},
		{"CONF_CLAIMS_GO_USER", "ingo@contoso.test"},
		{"CONF_CLAIMS_NODE_USER", "inga@contoso.test"},
		{"CONF_BLOCKED_USER", "bo@contoso.test"},
		{"CONF_BLOCKED_PASSWORD", "bo may nowhere go"},
		{"CONF_COMPLIANT_USER", "cleo@contoso.test"},
		{"CONF_COMPLIANT_PASSWORD", "cleo needs a good device"},
		{"CONF_NOCODE_USER", "gus@contoso.test"},
		{"CONF_NOCODE_PASSWORD", "gus types no codes"},
		{"CONF_CODE_USER", "kai@contoso.test"},
		{"CONF_VICTIM_USER", "vic@contoso.test"},
		// Her password is known to her organisation's AD FS alone.
		{"CONF_FED_TENANT", "f8cdef31-a31e-4b4a-93e4-5f571e91255a"},
		{"CONF_FED_USER", "carol@adatum.test"},
		{"CONF_FED_PASSWORD", "federated horse"},
		// The application is a confidential web application with a secret and a
		// certificate; it also offers an API, for tokens on behalf of a user.
		{"CONF_APP", "aaaaaaaa-0000-4000-8000-000000000001"},
		{"CONF_APP_SECRET", "the web application's secret"},
		{"CONF_APP_REDIRECT", "https://app.contoso.test/cb"},
		{"CONF_SPA", "aaaaaaaa-0000-4000-8000-000000000002"},
		{"CONF_SPA_REDIRECT", "https://spa.contoso.test/"},
	}
}

// Value is one name of the world, or of the environment where a run sets it.
func Value(getenv func(string) string, name string) string {
	if v := getenv(name); v != "" {
		return v
	}
	for _, kv := range World() {
		if kv[0] == name {
			return kv[1]
		}
	}
	return ""
}

// UserFromEnv is the user in front of the browser, by the environment: CONF_BROWSER_USER
// and CONF_BROWSER_PASSWORD name another than the world's, CONF_BROWSER_CREDENTIAL is the
// x-ms-RefreshTokenCredential that the browser sends.
func UserFromEnv(getenv func(string) string) browser.Config {
	user, password := getenv("CONF_BROWSER_USER"), getenv("CONF_BROWSER_PASSWORD")
	if user == "" {
		user, password = Value(getenv, "CONF_USER"), Value(getenv, "CONF_PASSWORD")
	}
	return browser.Config{
		Username: user, Password: password, Credential: getenv("CONF_BROWSER_CREDENTIAL"), Login: Value(getenv, "CONF_LOGIN"),
		OneTimeCode: func(ctx context.Context) (string, error) { return Tenant(ctx, getenv, "totp", user) },
	}
}

// DemandMFA puts a policy over one user: a second factor everywhere.
func DemandMFA(ctx context.Context, getenv func(string) string, user string) error {
	_, err := Tenant(ctx, getenv, "policy", "put", "Second factor for "+user, "--tenant", Value(getenv, "CONF_DOMAIN"),
		"--include-user", user, "--include-resource", "All", "--grant", "mfa")
	return err
}

// ApproveCode plays the user of a device code.
func ApproveCode(ctx context.Context, getenv func(string) string, code string) error {
	_, err := Tenant(ctx, getenv, "approve-code", code, "--user", Value(getenv, "CONF_USER"))
	return err
}

// Tenant runs lockstep tenant against the server of the run.
func Tenant(ctx context.Context, getenv func(string) string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, getenv("CONF_LOCKSTEP"), append(append([]string{"tenant"}, args...), "--state", getenv("CONF_STATE"))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("lockstep tenant %s: %w: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}
