package tpmagent_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	tpmv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/tpm/v1"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
)

func publics(t testing.TB, id tpmagenttest.Identity) (spki, tk []byte) {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(id.DeviceKey)
	if err != nil {
		t.Fatal(err)
	}
	tk, err = entrawire.MarshalRSA1(id.Transport)
	if err != nil {
		t.Fatal(err)
	}
	return spki, tk
}

// event is a line of the audit log.
type event struct {
	Msg, Caller, Method, Use, Key, Outcome string
	User                                   string `json:"user_id"`
}

// TestT1_EachUseOfAKeyIsAnEvent: what was done, with which key, for whom, whether it
// worked; and who asked, as the connection proved it.
func TestT1_EachUseOfAKeyIsAnEvent(t *testing.T) {
	var log bytes.Buffer
	a := tpmagenttest.Start(t, tpmagent.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	events := func(do func()) (all []event) {
		t.Helper()
		log.Reset()
		do()
		return keyUses(t, &log)
	}
	expect := func(do func(), want ...event) {
		t.Helper()
		got := events(do)
		if len(got) != len(want) {
			t.Fatalf("%d events: %+v", len(got), got)
		}
		for i, w := range want {
			g := got[i]
			g.Use, g.Msg, g.Method = "", "", ""
			if g != w || got[i].Use == "" {
				t.Errorf("event %+v, want %+v", got[i], w)
			}
		}
	}
	var id tpmagenttest.Identity
	made := func(key string) event { return event{Caller: "dsreg", Key: key, Outcome: "done"} }
	expect(func() { id = a.Register() },
		made("device key"), made("transport key"), made("storage key"), made("attestation key"), made("data key"))
	var key *tpmv1.SealedSessionKey
	expect(func() { _, key = a.Import(id, tpmagenttest.UserA) },
		event{Caller: "lsa-cloudap", Key: "transport key", User: tpmagenttest.UserA, Outcome: "done"})
	expect(func() { _ = cookie(t, a, tpmagenttest.UserA, key) },
		event{Caller: "lsa-cloudap", Key: "session key", User: tpmagenttest.UserA, Outcome: "done"})
	expect(func() { _ = cookie(t, a, tpmagenttest.UserB, key) },
		event{Caller: "lsa-cloudap", Key: "session key", User: tpmagenttest.UserB, Outcome: "refused"})
	expect(func() { helloKey(t, a, tpmagenttest.UserA) },
		event{Caller: "lsa-cloudap", Key: "hello key", User: tpmagenttest.UserA, Outcome: "done"})
	expect(func() { _ = signHello(t, a, tpmagenttest.UserA, wrongPIN) },
		event{Caller: "lsa-cloudap", Key: "hello key", User: tpmagenttest.UserA, Outcome: "refused"})
}

func keyUses(t *testing.T, log *bytes.Buffer) (all []event) {
	t.Helper()
	dec := json.NewDecoder(log)
	for dec.More() {
		var e event
		if err := dec.Decode(&e); err != nil {
			t.Fatal(err)
		}
		if e.Msg == "key used" {
			all = append(all, e)
		}
	}
	return all
}

// TestT1_EachMethodUsesTheKeysOfItsRow runs the whole suite and compares what the
// audit log saw with the table, both ways.
func TestT1_EachMethodUsesTheKeysOfItsRow(t *testing.T) {
	var log bytes.Buffer
	a := tpmagenttest.Start(t, tpmagent.Config{Log: slog.New(slog.NewJSONHandler(&log, nil)), NativeSessionKeys: true})
	tpmagenttest.Run(t, a.Dial)
	seen := map[string]map[string]bool{}
	for _, e := range keyUses(t, &log) {
		if seen[e.Method] == nil {
			seen[e.Method] = map[string]bool{}
		}
		seen[e.Method][e.Key] = true
	}
	for _, r := range tpmagent.Table() {
		want := map[string]bool{}
		for _, k := range r.Keys {
			want[k] = true
		}
		if len(want) != len(seen[r.Method]) {
			t.Errorf("%s used %v, its row says %v", r.Method, seen[r.Method], r.Keys)
		}
		for k := range seen[r.Method] {
			if !want[k] {
				t.Errorf("%s used a %s", r.Method, k)
			}
		}
		delete(seen, r.Method)
	}
	if len(seen) > 0 {
		t.Errorf("keys were used outside the table: %v", seen)
	}
}
