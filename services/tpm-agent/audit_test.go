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

// TestT1_EachUseOfAKeyIsAnEvent: what was done, with which key, for whom, whether it
// worked; and who asked, as the connection proved it.
func TestT1_EachUseOfAKeyIsAnEvent(t *testing.T) {
	var log bytes.Buffer
	a := tpmagenttest.Start(t, tpmagent.Config{Log: slog.New(slog.NewJSONHandler(&log, nil))})
	type event struct {
		Msg, Caller, Use, Key, Outcome string
		User                           string `json:"user_id"`
	}
	events := func(do func()) (all []event) {
		t.Helper()
		log.Reset()
		do()
		dec := json.NewDecoder(&log)
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
	expect := func(do func(), want ...event) {
		t.Helper()
		got := events(do)
		if len(got) != len(want) {
			t.Fatalf("%d events: %+v", len(got), got)
		}
		for i, w := range want {
			g := got[i]
			g.Use, g.Msg = "", ""
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
