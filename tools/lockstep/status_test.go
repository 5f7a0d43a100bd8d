package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/labserver"
)

// exitOf runs the check and gives its exit code with what it said.
func exitOf(t *testing.T, args ...string) (int, string) {
	t.Helper()
	out, err := command(t, append([]string{"status", "--check"}, args...)...)
	var exit exitError
	switch {
	case err == nil:
		return 0, out
	case errors.As(err, &exit):
		return int(exit), out
	default:
		t.Fatal(err)
		return 0, ""
	}
}

// The commands on a laboratory that runs, as people use them.
func TestOBS01_OBS06_StatusAndWhyOfARunningLab(t *testing.T) {
	laboratory(t, labserver.Config{})
	if code, out := exitOf(t); code != 1 || !strings.Contains(out, "nobody has a PRT") {
		t.Errorf("before the join: %d, %s", code, out)
	}
	does(t, "play", "join user=alice")
	refuses(t, "failed", "play", "sign-in user=alice password=wrong")

	out := does(t, "status")
	for _, want := range []string{"| Device State ", "AzureAdJoined : YES", "AcquirePrtDiagnostics : PRESENT", "Attempt Status : 0xc000006d", "Server Error Description : AADSTS50126"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	object := map[string]map[string]any{}
	text := does(t, "status", "--json")
	if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &object); err != nil || object["device_state"]["azure_ad_joined"] != "YES" || object["sso_state"]["azure_ad_prt"] != "NO" {
		t.Errorf("%v: %s", err, text)
	}
	if out := does(t, "why"); !strings.Contains(out, "The user name or the password is wrong. (AADSTS50126)") || !strings.Contains(out, "next step: Check both.") {
		t.Errorf("why:\n%s", out)
	}

	does(t, "play", "sign-in user=alice")
	if code, out := exitOf(t); code != 0 {
		t.Errorf("signed in: %d, %s", code, out)
	}
	if out := does(t, "partitions"); !strings.Contains(out, "alice@contoso.test │ password") || !strings.Contains(out, "GOOD") {
		t.Errorf("partitions:\n%s", out)
	}
	does(t, "play", "admin do=disable-device")
	if code, out := exitOf(t, "--json"); code != 3 || !strings.Contains(out, `"exit":3`) {
		t.Errorf("disabled: %d, %s", code, out)
	}
	refuses(t, "there is no device", "status", "--device", "device-9")
}

func TestOBS02_EventsOfARunningLab(t *testing.T) {
	laboratory(t, labserver.Config{})
	does(t, "play", "join user=alice")
	refuses(t, "failed", "play", "sign-in user=alice password=wrong")
	out := does(t, "events")
	begin, end := strings.Index(out, "┌ "), strings.Index(out, "└ ")
	if begin < 0 || end < begin || !strings.Contains(out[begin:end], " 1006 ") || !strings.Contains(out[begin:end], " 1081 ") || !strings.Contains(out[end:], " 1007 ") {
		t.Errorf("events:\n%s", out)
	}
	if out := does(t, "events", "--id", "1081"); strings.Count(out, "AAD/") != 1 || !strings.Contains(out, "AADSTS50126") {
		t.Errorf("one id:\n%s", out)
	}
	line := does(t, "events", "--id", "1007", "--json")
	var event struct {
		ID            int    `json:"id"`
		Status        string `json:"status"`
		CorrelationID string `json:"correlation_id"`
	}
	if err := json.Unmarshal([]byte(line[strings.Index(line, "{"):]), &event); err != nil || event.ID != 1007 || event.Status != "0xc000006d" {
		t.Fatalf("%v: %s", err, line)
	}
	if out := does(t, "events", "--correlation", event.CorrelationID); strings.Count(out, "AAD/") != 7 || strings.Contains(out, "User Device Registration") {
		t.Errorf("one trace:\n%s", out)
	}
	refuses(t, "no trace id", "events", "--correlation", "x")
}
