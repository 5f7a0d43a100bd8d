package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestOBS09_DescribeOnTheCommandLine(t *testing.T) {
	// {"alg":"HS256","ctx":"Y3R4"} . {"refresh_token":"secret-PRT","is_primary":"true"} . signature
	const cookie = "eyJhbGciOiJIUzI1NiIsImN0eCI6IlkzUjQifQ.eyJyZWZyZXNoX3Rva2VuIjoic2VjcmV0LVBSVCIsImlzX3ByaW1hcnkiOiJ0cnVlIn0.c2lnbmF0dXJl"
	out, err := command(t, "describe", cookie)
	if err != nil || !strings.Contains(out, "PRT cookie") || strings.Contains(out, "secret-PRT") || strings.Contains(out, "c2lnbmF0dXJl") {
		t.Errorf("%v\n%s", err, out)
	}
	var in, screen bytes.Buffer
	in.WriteString("x-ms-RefreshTokenCredential: " + cookie + "\n")
	cmd := root()
	cmd.SetArgs([]string{"describe", "-", "--json"})
	cmd.SetIn(&in)
	cmd.SetOut(&screen)
	var got struct {
		Kind     string `json:"kind"`
		Verified *bool  `json:"verified"`
	}
	if err := cmd.ExecuteContext(t.Context()); err != nil || json.Unmarshal(screen.Bytes(), &got) != nil || !strings.HasPrefix(got.Kind, "PRT cookie") || got.Verified == nil || *got.Verified {
		t.Errorf("%v: %s", err, &screen)
	}
	if _, err := command(t, "describe", ""); err == nil {
		t.Error("nothing was described")
	}
}
