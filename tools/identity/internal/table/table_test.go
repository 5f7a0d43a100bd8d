package table_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/identity/internal/table"
)

func TestTheExample(t *testing.T) {
	got, err := table.Load("../../testdata/table.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"app", "browser", "browsercore", "logonui", "operator", "settings", "window"}; !slices.Equal(got.Namespaces["lockstep-player"].Names(), want) {
		t.Errorf("the player is %v", got.Namespaces["lockstep-player"].Names())
	}
	if got.Namespaces["lockstep-device-2"].Accounts["telemetry"].Name != "observer" {
		t.Errorf("device 2 is %+v", got.Namespaces["lockstep-device-2"])
	}
	for namespace, n := range got.Namespaces {
		if namespace != "lockstep-player" && slices.Contains(n.Names(), "operator") {
			t.Errorf("an operator comes from %s", namespace)
		}
	}
}

// TestTheTablesOfTheManifests: one that cannot be read would keep the signer from starting.
func TestTheTablesOfTheManifests(t *testing.T) {
	var all []string
	for _, form := range []string{"base/identity/who/table.yaml", "overlays/*/table.yaml"} {
		found, err := filepath.Glob(filepath.Join("../../../../deploy", form))
		if err != nil || len(found) == 0 {
			t.Fatalf("no table at deploy/%s: %v", form, err)
		}
		all = append(all, found...)
	}
	for _, path := range all {
		tab, err := table.Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		for namespace, n := range tab.Namespaces {
			if namespace != "lockstep-player" && slices.Contains(n.Names(), "operator") {
				t.Errorf("%s: an operator comes from %s", path, namespace)
			}
			for _, other := range n.Trusts {
				if strings.HasPrefix(namespace, "lockstep-device-") && strings.HasPrefix(other, "lockstep-device-") && namespace != other {
					t.Errorf("%s: %s trusts %s", path, namespace, other)
				}
			}
		}
	}
}

// TestNobodyIsTakenForAnother: of the namespaces that one trusts, no two give the same name,
// or pods of one could pass for the other's. The cloud takes each device's; and the player,
// who is the browser of a device, also starts its native host.
func TestNobodyIsTakenForAnother(t *testing.T) {
	found, err := filepath.Glob("../../../../deploy/overlays/*/table.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("no table of an overlay: %v", err)
	}
	for _, path := range append(found, "../../../../deploy/base/identity/who/table.yaml") {
		tab, err := table.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		device := func(n string) bool { return strings.HasPrefix(n, "lockstep-device-") }
		for who, n := range tab.Namespaces {
			for i, a := range n.Trusts {
				for _, b := range n.Trusts[i+1:] {
					if device(a) && device(b) && !device(who) {
						continue
					}
					for _, name := range tab.Namespaces[a].Names() {
						if name != "browsercore" && slices.Contains(tab.Namespaces[b].Names(), name) {
							t.Errorf("%s: %s takes %s from %s and from %s", path, who, name, a, b)
						}
					}
				}
			}
		}
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		"": "there is none",
		"namespaces: {a: {trusts: [a], accounts: {x: {name: x}}}, b: {trusts: [c]}}":             "b: trusts c, which is not in the table",
		"namespaces: {a: {trusts: [a, a]}}":                                                      "stands twice",
		"namespaces: {a: {accounts: {x: {name: x}}}}":                                            "a: trusts nobody",
		"namespaces: {a: {trusts: [a], accounts: {x: {}}}}":                                      "account x is nobody",
		"namespaces: {a: {trusts: [a], accounts: {x: {actors: [y, y]}}}}":                        "an actor stands twice",
		"namespaces: {a: {trusts: [a], accounts: {x: {name: X}}}}":                               `"X" is no name`,
		"namespaces: {a: {trusts: [a], accounts: {x: {name: ../x}}}}":                            "is no name",
		"namespaces: {A: {trusts: [A]}}":                                                         "is no name of a namespace",
		"namespaces: {a: {trusts: [a], account: {}}}":                                            "unknown field",
		"namespaces: {a: {trusts: [a], accounts: {x: {nam: x}}}}":                                "unknown field",
		"namespaces: {a: {trusts: [a], accounts: {x: {name: x}, x: {name: y}}}}":                 "already set",
		"namespaces: {a: {trusts: [a], accounts: {x: {name: " + strings.Repeat("n", 64) + "}}}}": "is no name",
		"- a": "cannot unmarshal",
	} {
		if _, err := table.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	big := t.TempDir() + "/table.yaml"
	if err := os.WriteFile(big, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Load(big); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a large file: %v", err)
	}
}
