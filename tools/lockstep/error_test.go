package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

// command runs a command line in this process.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestOBS07_ErrorOnTheCommandLine(t *testing.T) {
	out, err := command(t, "error", "50126", "aadsts50076")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AADSTS50126 InvalidUserNameOrPassword", "The user name or the password is wrong", "invalid_grant", "ISS06", "AADSTS50076", "on the v1 endpoints: error interaction_required"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out, err = command(t, "error", "50126", "50140", "--json"); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(out))
	for _, code := range []aadsts.Code{50126, 50140} {
		var got aadsts.Row
		want, _ := aadsts.Lookup(code)
		if err := dec.Decode(&got); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if out, err = command(t, "error"); err != nil {
		t.Fatal(err)
	}
	for _, r := range aadsts.Table() {
		if !strings.Contains(out, fmt.Sprintf("%d │ %s ", r.Code, r.Name)) {
			t.Errorf("the list lacks %v", r.Code)
		}
	}
	for _, bad := range []string{"4711", "x"} {
		if out, err := command(t, "error", "50126", bad); err == nil || out != "" {
			t.Errorf("%s: %v, %q", bad, err, out)
		}
	}
}

func TestOBS06_CodesOfWindowsOnTheCommandLine(t *testing.T) {
	for _, row := range wincode.Table() {
		out, err := command(t, "error", row.Code.String())
		if err != nil || !strings.Contains(out, row.Name) || !strings.Contains(out, "next step: "+row.Next) {
			t.Errorf("%v: %v, %s", row.Code, err, out)
		}
	}
	if out, err := command(t, "error", "0xdeadbeef"); err == nil || !strings.Contains(err.Error(), "0xdeadbeef is not in the table") {
		t.Errorf("%v, %s", err, out)
	}
}
