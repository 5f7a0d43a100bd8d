package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/labserver"
)

// TestFLT01_CallsBreakInARunningLaboratory: by a command, until another one.
func TestFLT01_CallsBreakInARunningLaboratory(t *testing.T) {
	info := laboratory(t, labserver.Config{})
	does(t, "play", "join user=alice", "enter user=alice", "token user=alice")
	refuses(t, "no stand-in is before tpm-agent: lockstep fault set", "fault", "show", "tpm-agent")
	refuses(t, "no stand-in is before idp", "fault", "clear", "idp")
	out := does(t, "fault", "set", "tpm-agent", `(unavailable (method "PRTKeyService/SignTokenRequest") (nth 1))`, "--seed", "7")
	if !strings.Contains(out, "tpm-agent, seed 7") {
		t.Errorf("%s", out)
	}
	refuses(t, "failed", "play", "token user=alice fresh")
	does(t, "play", "token user=alice fresh")
	var got struct {
		Component string
		Seed      uint64
		Rules     []ruleState
	}
	out = does(t, "fault", "show", "tpm-agent", "--json")
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Component != "tpm-agent" || got.Seed != 7 || len(got.Rules) != 1 || got.Rules[0].Seen != 2 || got.Rules[0].Struck != 1 || got.Rules[0].Last == "" {
		t.Errorf("%+v", got)
	}
	if out := does(t, "fault", "clear", "tpm-agent"); !strings.Contains(out, "nothing breaks at tpm-agent") {
		t.Errorf("%s", out)
	}
	// The cloud too, from a file, and by its address.
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte("; the tokens\n(answer 50076 (method \"TokenService/*\"))\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	does(t, "fault", "set", "idp", "-f", file)
	refuses(t, "failed", "play", "token user=alice fresh")
	at := []string{"--at", info.IdP, "--identity", filepath.Join(info.Identities, "operator")}
	if out := does(t, append([]string{"fault", "show", "idp"}, at...)...); !strings.Contains(out, "(answer 50076") {
		t.Errorf("%s", out)
	}
	does(t, append([]string{"fault", "clear", "idp"}, at...)...)
	does(t, "play", "token user=alice fresh", "fault adfs (unavailable)", "heal adfs")
	does(t, "fault", "show", "adfs")
}

func TestFaultCommandsSayWhatToDo(t *testing.T) {
	refuses(t, "name a component, one of adfs, dsreg", "fault", "show", "printer")
	refuses(t, "which rules?", "fault", "set", "idp")
	refuses(t, "which rules?", "fault", "set", "idp", "(drop)", "-f", "x")
	refuses(t, "there is no rule", "fault", "set", "idp", "; none")
	refuses(t, `rules 1:2: there is no action "dorp"`, "fault", "set", "idp", "(dorp)")
	refuses(t, "belong together", "fault", "show", "idp", "--at", "unix:/x")
	refuses(t, "no such file", "fault", "set", "idp", "-f", "/no/such/file")
	refuses(t, "write 'COMPONENT: RULES'", "demo", "--fault", "tpm-agent")
	refuses(t, "nothing can stand in for", "demo", "--fault", "printer: (drop)")
	refuses(t, "no action", "demo", "--fault", "idp: (dorp)")
}
