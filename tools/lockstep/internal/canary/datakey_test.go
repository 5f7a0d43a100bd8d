package canary_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/lockstep-sso/lockstep/pkg/entrawire"
	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/services/tpm-agent/tpmagenttest"
	"github.com/lockstep-sso/lockstep/tools/lockstep/internal/canary"
)

// learnDataKeys adds to the truth the identity provider's keys, out of the answers that
// passed, and the data keys of the users, out of the wrapped ones on disk. The opener is
// made before anybody else uses the TPM, which has three slots.
func (w *world) learnDataKeys(keys *truth, open func(p tpmagenttest.Provider, caller, tenant, user string, wrapped []byte) []byte) {
	t := w.t
	t.Helper()
	providers := providerKeys(w.tap.tokens, keys.sessions)
	for _, p := range providers {
		keys.sessions = append(keys.sessions, canary.Key{Name: "provider's key " + p.ID, Bytes: p.Key})
	}
	names, err := filepath.Glob(filepath.Join(w.device.StateDir("lsa-cloudap"), "datakeys", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		var f struct {
			Tenant  string `json:"tenant_id"`
			User    string `json:"user_id"`
			DataKey []byte `json:"data_key"`
		}
		raw, err := os.ReadFile(name)
		if err != nil || json.Unmarshal(raw, &f) != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var key []byte
		for _, p := range providers {
			if key = open(p, "lsa-cloudap", f.Tenant, f.User, f.DataKey); key != nil {
				break
			}
		}
		if len(key) != 32 {
			t.Fatalf("%s opens with none of %d keys of the provider", name, len(providers))
		}
		keys.sessions = append(keys.sessions, canary.Key{Name: fmt.Sprintf("data key %d", i+1), Bytes: key})
	}
	if len(providers) == 0 || len(names) != len(providers) {
		t.Errorf("%d keys of the provider and %d data keys: the tap missed some", len(providers), len(names))
	}
}

// providerKeys opens what of the answers holds such a key.
func providerKeys(tokens []string, sessions []canary.Key) (found []tpmagenttest.Provider) {
	for _, token := range tokens {
		if !entrawire.IsAnswer(token) {
			continue
		}
		for _, s := range sessions {
			plain, err := entrawire.OpenAnswer(token, secret.NewBytes(bytes.Clone(s.Bytes)))
			var a entrawire.DataKeyAnswer
			if err != nil || a.UnmarshalJSON(plain) != nil || a.Validate() != nil {
				continue
			}
			key, err := a.Key()
			if err == nil && !slices.ContainsFunc(found, func(p tpmagenttest.Provider) bool { return p.ID == a.KeyID }) {
				found = append(found, tpmagenttest.Provider{ID: a.KeyID, Key: key.Reveal()})
			}
		}
	}
	return found
}

// dataKeyOpener is made of what is left of the agent.
func (w *world) dataKeyOpener(t *testing.T, tpm transport.TPM) func(p tpmagenttest.Provider, caller, tenant, user string, wrapped []byte) []byte {
	t.Helper()
	return tpmagenttest.DataKeyOpener(t, w.device.StateDir("tpm-agent"), tpm)
}
