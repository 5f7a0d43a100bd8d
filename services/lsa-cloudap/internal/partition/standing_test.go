package partition_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

func TestINV04_WhatWasLearntIsReadBack(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	p := sample(t, alice)
	p.Standing = partition.Standing{
		SID: "S-1-5-21-1-2-3-1104", LastOnlineAt: now, Validity: partition.Revoked,
		BlockedCode: aadsts.UserDisabled, BlockedAt: now.Add(time.Hour), MFA: partition.MFAYes, MFATime: now.Add(-time.Hour),
		Membership: "eeeeeeee-0000-4000-8000-000000000001",
	}
	store, _, _ := open(t, dir)
	if err := store.Save(p); err != nil {
		t.Fatal(err)
	}
	_, all, bad := open(t, dir)
	if len(bad) != 0 || len(all) != 1 || all[0].Standing != p.Standing {
		t.Errorf("got %+v, %v", all, bad)
	}
}

// A file of the release before has no standing: its PRT was got from the provider.
func TestAFileOfTheFirstVersionIsReadAndItsForeignMembersAreNot(t *testing.T) {
	dir := t.TempDir()
	file := saved(t, dir, alice)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "sealed_prt")
	delete(m, "prt_sha256")
	m["version"], m["prt"], m["blocked_code"] = 1, inClear, 50057
	if raw, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	_, all, bad := open(t, dir)
	if len(bad) != 0 || len(all) != 1 || all[0].Standing != (partition.Standing{LastOnlineAt: sample(t, alice).ObtainedAt}) {
		t.Errorf("got %+v, %v", all, bad)
	}
}
