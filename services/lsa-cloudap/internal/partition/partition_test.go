package partition_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/secret"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/services/lsa-cloudap/internal/partition"
)

func sample(t *testing.T, user string) partition.Partition {
	t.Helper()
	key, err := partition.ParseKey("aaaaaaaa-0000-4000-8000-000000000001", user, "password")
	if err != nil {
		t.Fatal(err)
	}
	v, err := partition.NewVerifier(secret.NewText("canary-password"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	p := partition.Partition{
		Key: key, UPN: "alice@contoso.test", DisplayName: "Alice", SealedKey: []byte{1, 2, 3},
		Verifier: v, ObtainedAt: now, ExpiresAt: now.Add(14 * 24 * time.Hour), WrongPasswords: 2, LastWrongAt: now,
	}
	p.SetPRT(secret.NewText(inClear), []byte("sealed"))
	return p
}

// inClear is the PRT of the tests, and hashed its SHA-256.
const (
	inClear = "1.prt.x"
	hashed  = "30fa6a729200b0989c387fe547bbb9d9498e3d4f7547e6e6c96099ee9154d4d1"
)

// open reads the state folder dir.
func open(t *testing.T, dir string) (*partition.Store, []partition.Partition, []error) {
	t.Helper()
	files, err := statefiles.Open(statefiles.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return partition.Open(files)
}

const (
	alice = "bbbbbbbb-0000-4000-8000-000000000001"
	bob   = "bbbbbbbb-0000-4000-8000-000000000002"
)

// saved writes one partition and returns its file.
func saved(t *testing.T, dir, user string) string {
	t.Helper()
	s, _, bad := open(t, dir)
	if len(bad) != 0 {
		t.Fatal(bad)
	}
	if err := s.Save(sample(t, user)); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "partitions", "*"+user+"*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files %v, %v", found, err)
	}
	return found[0]
}

func TestWhatIsSavedIsReadBack(t *testing.T) {
	dir := t.TempDir()
	saved(t, dir, alice)
	_, all, bad := open(t, dir)
	if len(bad) != 0 || len(all) != 1 {
		t.Fatalf("%v, %v", all, bad)
	}
	got, want := all[0], sample(t, alice)
	if got.Key != want.Key || got.UPN != want.UPN || got.DisplayName != want.DisplayName || !got.SamePRT(want) || !got.PRT.Empty() || string(got.SealedPRT) != "sealed" ||
		!bytes.Equal(got.SealedKey, want.SealedKey) || !got.ObtainedAt.Equal(want.ObtainedAt) || !got.ExpiresAt.Equal(want.ExpiresAt) ||
		got.WrongPasswords != 2 || !got.LastWrongAt.Equal(want.LastWrongAt) {
		t.Errorf("got %+v", got)
	}
	if !got.Verifier.Matches(secret.NewText("canary-password")) || got.Verifier.Matches(secret.NewText("canary-passworD")) || got.Verifier.Matches(secret.Text{}) {
		t.Error("the verifier is wrong")
	}
	if got.Digest() != want.Digest() || len(got.Digest()) != 8 {
		t.Errorf("digest %s", got.Digest())
	}
}

// TestAFileOfTheFirstReleaseIsRead: its PRT is in the clear, and stays so on disk only
// until it was sealed.
func TestAFileOfTheFirstReleaseIsRead(t *testing.T) {
	dir := t.TempDir()
	path := saved(t, dir, alice)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(inClear)) {
		t.Error("the PRT is in the clear")
	}
	first := bytes.Replace(raw, []byte(`"version":3`), []byte(`"version":1`), 1)
	first = bytes.Replace(first, []byte(`"sealed_prt":"c2VhbGVk","prt_sha256":"`+hashed+`"`), []byte(`"prt":"`+inClear+`"`), 1)
	if err := os.WriteFile(path, first, 0o600); err != nil {
		t.Fatal(err)
	}
	s, all, bad := open(t, dir)
	if len(all) != 1 || len(bad) != 0 || all[0].PRT.Reveal() != inClear || !all[0].SamePRT(sample(t, alice)) {
		t.Fatalf("%v, %v", all, bad)
	}
	all[0].WrongPasswords++ // written while nobody can seal it
	if err := s.Save(all[0]); err != nil {
		t.Fatal(err)
	}
	s, all, bad = open(t, dir)
	if len(all) != 1 || len(bad) != 0 || all[0].PRT.Reveal() != inClear || all[0].WrongPasswords != 3 {
		t.Fatalf("%v, %v", all, bad)
	}
	all[0].SetPRT(all[0].PRT, []byte("sealed"))
	if err := s.Save(all[0]); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || bytes.Contains(raw, []byte(inClear)) {
		t.Errorf("the PRT is still in the clear: %v", err)
	}
}

func TestABadFileGoesToQuarantineAndTheOthersGoOn(t *testing.T) {
	set := func(name string, value any) func([]byte) []byte {
		return func(raw []byte) []byte {
			var m map[string]any
			if json.Unmarshal(raw, &m) != nil {
				return nil
			}
			m[name] = value
			out, err := json.Marshal(m)
			if err != nil {
				return nil
			}
			return out
		}
	}
	for name, damage := range map[string]func([]byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"truncated":          func(raw []byte) []byte { return raw[:len(raw)/2] },
		"cut by one":         func(raw []byte) []byte { return raw[:len(raw)-1] },
		"an array":           func([]byte) []byte { return []byte(`[1]`) },
		"goes on":            func(raw []byte) []byte { return append(raw, '{', '}') },
		"no version":         set("version", nil),
		"foreign version":    set("version", 4),
		"version 0":          set("version", 0),
		"too old for it":     set("version", 1),
		"a membership":       set("membership_id", "of the tenant"),
		"unknown member":     set("surprise", 1),
		"wrong type":         set("sealed_prt", 7),
		"no tenant":          set("tenant_id", ""),
		"other user":         set("user_id", "bbbbbbbb-0000-4000-8000-00000000000f"),
		"unknown credential": set("credential_kind", "hello"),
		"path in a key":      set("user_id", "../../../../../../../../../../etc/pass"),
		"no name":            set("user_principal_name", "alice"),
		"no PRT":             set("sealed_prt", ""),
		"PRT in both forms":  set("prt", inClear),
		"long PRT":           set("sealed_prt", strings.Repeat("QUFB", 7000)),
		"no hash":            set("prt_sha256", ""),
		"cut hash":           set("prt_sha256", hashed[:62]),
		"long hash":          set("prt_sha256", hashed+"00"),
		"bad hash":           set("prt_sha256", strings.Repeat("x", 64)),
		"no session key":     set("sealed_session_key", ""),
		"not a verifier":     set("password_verifier", "x"),
		"hungry verifier":    set("password_verifier", "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWtleXNvbWVrZXlzb21la2V5c29tZWtleQ"),
		"zero verifier":      set("password_verifier", "$argon2id$v=19$m=7168,t=0,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWtleXNvbWVrZXlzb21la2V5c29tZWtleQ"),
		"never obtained":     set("obtained_at", "0001-01-01T00:00:00Z"),
		"ends before begin":  set("expires_at", "2020-01-01T00:00:00Z"),
		"negative count":     set("wrong_passwords", -1),
		"unknown validity":   set("validity", "fine"),
		"unknown mfa":        set("mfa", "maybe"),
		"negative code":      set("blocked_code", -1),
		"not a sid":          set("sid", "S-1-5-18"),
		"long name":          set("display_name", strings.Repeat("x", 257)),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := saved(t, dir, alice)
			saved(t, dir, bob)
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			_, all, bad := open(t, dir)
			if len(all) != 1 || string(all[0].User) != bob {
				t.Errorf("read %v", all)
			}
			if len(bad) != 1 || !strings.Contains(bad[0].Error(), file) {
				t.Errorf("errors %v", bad)
			}
			kept, err := filepath.Glob(filepath.Join(dir, "quarantine", filepath.Base(file)+".*"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("in quarantine %v, %v", kept, err)
			}
			if now, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(now, damage(raw)) {
				t.Errorf("the file was changed: %v", err)
			}
			if _, again, bad := open(t, dir); len(again) != 1 || len(bad) != 0 {
				t.Errorf("at the next start: %v, %v", again, bad)
			}
		})
	}
}

func TestRemoveAndLeftovers(t *testing.T) {
	dir := t.TempDir()
	file := saved(t, dir, alice)
	left := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".12345")
	for _, f := range []string{left, filepath.Join(filepath.Dir(file), "README")} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, all, bad := open(t, dir)
	if len(all) != 1 || len(bad) != 0 {
		t.Fatalf("%v, %v", all, bad)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Error("the unfinished file is still there")
	}
	if err := s.Remove(all[0].Key); err != nil {
		t.Fatal(err)
	}
	if _, all, _ := open(t, dir); len(all) != 0 {
		t.Errorf("still there: %v", all)
	}
}

// FuzzPartitionFile: a file from anywhere is read whole or refused, never more.
func FuzzPartitionFile(f *testing.F) {
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"tenant_id":"aaaaaaaa-0000-4000-8000-000000000001","password_verifier":"$argon2id$v=19$m=1,t=1,p=1$AA$AA"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "partitions"), 0o700), os.WriteFile(filepath.Join(dir, "partitions", "x.json"), data, 0o600)); err != nil {
			t.Fatal(err)
		}
		_, all, bad := open(t, dir)
		if len(all) != 0 || len(bad) != 1 {
			t.Errorf("%v, %v", all, bad) // the name never fits the content
		}
	})
}
