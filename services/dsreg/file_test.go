package dsreg_test

import (
	"crypto/sha1" // thumbprints
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/ids"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	dsregv1 "github.com/lockstep-sso/lockstep/proto/gen/prt/dsreg/v1"
	"github.com/lockstep-sso/lockstep/services/dsreg"
	"github.com/lockstep-sso/lockstep/services/dsreg/internal/state"
)

func deviceID(s string) ids.DeviceID { return ids.DeviceID(s) }

// thumbprint by a way of its own, so that it can disagree with the product's.
func thumbprint(der []byte) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, x := range sha1.Sum(der) {
		b.WriteByte(digits[x>>4])
		b.WriteByte(digits[x&15])
	}
	return b.String()
}

// A state file that cannot be read stops the component: it names the file and
// what to do, and leaves the file as it is.
func TestADamagedStateFileIsNamed(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	whole := w.file()
	edit := func(change func(map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(whole, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	current := func(m map[string]any) map[string]any { return m["current"].(map[string]any) }
	for name, c := range map[string]struct {
		data []byte
		is   error
		want string
	}{
		"empty":             {nil, state.ErrDamaged, "remove it"},
		"half":              {whole[:len(whole)/2], state.ErrDamaged, "remove it"},
		"more":              {append(whole[:len(whole):len(whole)], "{}"...), state.ErrDamaged, "remove it"},
		"text":              {[]byte("joined"), state.ErrDamaged, "remove it"},
		"no version":        {edit(func(m map[string]any) { delete(m, "version") }), state.ErrDamaged, "no version"},
		"foreign version":   {edit(func(m map[string]any) { m["version"] = 5 }), state.ErrVersion, "run that release"},
		"unknown member":    {edit(func(m map[string]any) { m["key"] = "x" }), state.ErrDamaged, "unknown name"},
		"no identity":       {edit(func(m map[string]any) { delete(m, "current") }), state.ErrDamaged, "no identity"},
		"leaving without":   {edit(func(m map[string]any) { m["pending"] = m["current"]; delete(m, "current"); m["leaving"] = true }), state.ErrDamaged, "no identity"},
		"other certificate": {edit(func(m map[string]any) { current(m)["certificate"] = "MAA=" }), state.ErrDamaged, "certificate"},
		"not base64":        {edit(func(m map[string]any) { current(m)["certificate"] = "%" }), state.ErrDamaged, "wrong type"},
		"no user":           {edit(func(m map[string]any) { current(m)["joined_by"] = "" }), state.ErrDamaged, "joined_by"},
		"no name":           {edit(func(m map[string]any) { current(m)["display_name"] = "" }), state.ErrDamaged, "display_name"},
		"no membership":     {edit(func(m map[string]any) { delete(current(m), "membership_id") }), state.ErrDamaged, "membership id"},
		"bad membership":    {edit(func(m map[string]any) { current(m)["membership_id"] = "of the tenant" }), state.ErrDamaged, "membership id"},
		"no key set":        {edit(func(m map[string]any) { current(m)["key_set_id"] = "" }), state.ErrDamaged, "key_set_id"},
	} {
		path := filepath.Join(w.dir, "device.json")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := dsreg.New(w.config(nil))
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "join the device again") {
			t.Errorf("%s: got %v", name, err)
		}
		if after, _ := os.ReadFile(path); string(after) != string(c.data) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if err := os.WriteFile(filepath.Join(w.dir, "device.json"), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := dsreg.New(w.config(nil)); err != nil {
		t.Errorf("the whole file: %v", err)
	}
}

func TestTheStateFileIsForItsOwnerOnly(t *testing.T) {
	w := newWorld(t)
	w.mustJoin()
	if info, err := os.Stat(filepath.Join(w.dir, "device.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	w := newWorld(t)
	for name, drop := range map[string]func(*dsreg.Config){
		"StateDir": func(c *dsreg.Config) { c.StateDir = "" },
		"TPM":      func(c *dsreg.Config) { c.TPM = nil },
		"IdP":      func(c *dsreg.Config) { c.IdP = nil },
	} {
		cfg := w.config(nil)
		drop(&cfg)
		if _, err := dsreg.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is valid is judged by the clock of the configuration.
func TestTheCertificateIsJudgedByTheGivenClock(t *testing.T) {
	w := newWorld(t)
	w.idp.issue = func(i *issued) { i.template.NotAfter = time.Now().Add(24 * time.Hour) }
	w.mustJoin()
	w.clock.Advance(48 * time.Hour)
	if _, err := w.join(); prterr.KindOf(err) != prterr.Denied || !strings.Contains(err.Error(), "expired") {
		t.Errorf("two days later: %v", err)
	}
	if s := w.mustState(); s.GetJoinState() != dsregv1.JoinState_JOIN_STATE_JOINED {
		t.Errorf("an expired certificate is still the device's: %v", s)
	}
}
