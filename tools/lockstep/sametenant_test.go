package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/serve"
)

// The same tenant twice: from a file, and from a bare file with commands.
const (
	head = `tenants:
  - id: 0f0f0f0f-604b-40ac-a9d7-9fd97c0b779f
    display_name: Mine
    domains: [{name: mine.test}]
    groups: [{id: 7d1c3f0a-1f5e-4f6a-9b8e-5c4d3e2f1a01, name: Careful}]
`
	whole = head + `    users:
      - {id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01, upn: ann@mine.test, display_name: Ann, surname: Archer, password: a password of hers}
      - {id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a02, upn: ben@mine.test, display_name: Ben, password: a password of his, may_join: false, administrator: true, enabled: false}
      - {id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a03, upn: cay@mine.test, display_name: Cay, password: a password of hers, totp_secret: JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP, push: true}
    applications:
      - {client_id: 5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e01, name: Web, redirect_uris: [https://app.mine.test/cb], secrets: [secret of the web app]}
      - {client_id: 5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e02, name: Page, spa_redirect_uris: [https://spa.mine.test/]}
    policies:
      - {id: 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a01, name: Second factor, state: report, include_users: [All], exclude_users: [Careful], include_resources: [All], grant: mfa, sign_in_frequency: 1h}
`
	bareUsers = head + "    users: [{id: 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7aff, upn: first@mine.test, display_name: First, password: to be deleted}]\n"
)

func calls() []string {
	return []string{
		"user create ann@mine.test --id 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a01 --display-name Ann --surname Archer --password a-password-of-hers",
		"user create ben@mine.test --id 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a02 --display-name Ben --no-join --administrator",
		"user disable ben@mine.test",
		"user create cay@mine.test --id 1f6b0a5c-8f0d-4a53-9d3c-2f6f2c1d7a03 --display-name Cay",
		"user update cay@mine.test --totp JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP --push",
		"user delete first@mine.test",
		"app put Web --id 5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e01 --redirect-uri https://app.mine.test/cb --secret secret-of-the-web-app",
		"app put Page --id 5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e02 --spa-redirect-uri https://spa.mine.test/",
		"app put Gone --id 5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e03",
		"app delete 5a5b0d2e-7c1c-4f39-8d0f-0d7a3b7c1e03",
		"policy put Second_factor --id 3b1f8a52-9c77-4d0e-8a26-6e2f4b9d0a01 --policy-state report --include-user All --exclude-user Careful --include-resource All --grant mfa --sign-in-frequency 1h",
	}
}

// state is everything that the lists show.
func stateOf(t *testing.T, i serve.Info) []string {
	t.Helper()
	var all []string
	for _, what := range []string{"list", "user list", "device list", "app list --built-in", "policy list"} {
		out, err := command(t, slices.Concat([]string{"tenant", "--state", i.State, "--json"}, strings.Fields(what))...)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		all = append(all, strings.Split(strings.TrimSpace(out), "\n")...)
	}
	slices.Sort(all)
	return all
}

func TestOBS08_SameTenantFromAFileAndFromCommands(t *testing.T) {
	tenants := func(name, text string) serve.Config {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return serve.Config{Tenants: path}
	}
	filed, called := serving(t, tenants("whole.yaml", whole)), serving(t, tenants("bare.yaml", bareUsers))
	want := stateOf(t, filed)
	if slices.Equal(want, stateOf(t, called)) {
		t.Fatal("the bare tenant is the whole one already")
	}
	for _, line := range calls() {
		args := strings.Fields(line)
		for n := range args {
			args[n] = strings.ReplaceAll(args[n], "_", " ")
		}
		if _, err := command(t, slices.Concat([]string{"tenant", "--state", called.State}, args)...); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	got := stateOf(t, called)
	for n := range max(len(want), len(got)) {
		if n >= len(want) || n >= len(got) || want[n] != got[n] {
			t.Fatalf("file:\n%s\ncommands:\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
		}
	}
}

// What an operator changed is still so after a restart on the same folder.
func TestDEP05_ChangesOutliveARestartOnAStateFolder(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	cfg := serve.Config{Listen: "127.0.0.1:0", State: filepath.Join(t.TempDir(), "s")}
	run := func(lines ...string) []string {
		s, err := serve.Start(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		for _, line := range lines {
			if _, err := command(t, slices.Concat([]string{"tenant", "--state", cfg.State}, strings.Fields(line))...); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		return stateOf(t, s.Info())
	}
	before := run("user create new@contoso.test", "user disable alice@contoso.test", "app put Mine --tenant contoso.test --redirect-uri https://mine.test/")
	if after := run(); !slices.Equal(before, after) {
		t.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}
