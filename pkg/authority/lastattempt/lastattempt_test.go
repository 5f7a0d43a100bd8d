package lastattempt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/aadsts"
	"github.com/lockstep-sso/lockstep/pkg/authority"
	"github.com/lockstep-sso/lockstep/pkg/authority/lastattempt"
	"github.com/lockstep-sso/lockstep/pkg/clock"
	"github.com/lockstep-sso/lockstep/pkg/prterr"
	"github.com/lockstep-sso/lockstep/pkg/statefiles"
	"github.com/lockstep-sso/lockstep/pkg/wincode"
)

func open(t *testing.T, path string, change ...func(*lastattempt.Config)) *lastattempt.Book {
	t.Helper()
	cfg := lastattempt.Config{Clock: clock.NewLab()}
	for _, c := range change {
		c(&cfg)
	}
	return lastattempt.Open(folder(t, path), cfg)
}

// folder is the state folder that a file is in.
func folder(t *testing.T, path string) *statefiles.Files {
	t.Helper()
	files, err := statefiles.Open(statefiles.Config{Dir: filepath.Dir(path)})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// failure is one with every field, some time ago.
func failure(ago time.Duration) authority.Attempt {
	return authority.Attempt{
		At: time.Now().UTC().Add(-ago), Status: wincode.LogonFailure, UPN: "alice@contoso.test", Kind: authority.KindPassword,
		Correlation: "0123456789abcdef0123456789abcdef", Code: aadsts.InvalidCredentials, ErrorKind: prterr.Unauthenticated, Message: "AADSTS50126: no",
		Where: prterr.Where{Method: "POST", URI: "https://login.test/oauth2/token", HTTPStatus: 400, HTTPError: 7, ServerError: "invalid_grant", Step: "FIRST_SIGN_IN_D"},
	}
}

func TestOBS03_AFailureIsShownAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", lastattempt.FileName)
	alice, bob := lastattempt.Name{What: lastattempt.Obtain, Of: "password alice"}, lastattempt.Name{What: lastattempt.Renew, Of: "bob"}
	b := open(t, path)
	b.Set(alice, failure(time.Hour))
	b.Set(bob, failure(time.Minute))
	want := b.Get(alice)
	again := open(t, path)
	if got := again.Get(alice); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if len(again.All(lastattempt.Obtain)) != 1 || len(again.All(lastattempt.Renew)) != 1 {
		t.Errorf("%v and %v", again.All(lastattempt.Obtain), again.All(lastattempt.Renew))
	}
	again.Drop(alice)
	if got := open(t, path).Get(alice); !got.At.IsZero() || open(t, path).Get(bob).At.IsZero() {
		t.Errorf("after a success there is %+v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), lastattempt.FileName)
	b := open(t, path)
	stays := lastattempt.Name{What: lastattempt.Renew, Of: "stays"}
	b.Set(stays, failure(time.Hour))
	long := failure(0)
	long.Message, long.Where.URI = strings.Repeat("m", 5000), strings.Repeat("\u00e9", 5000)
	for i := range 70 {
		long.At = time.Now().Add(-time.Duration(70-i) * time.Minute)
		b.Set(lastattempt.Name{What: lastattempt.Obtain, Of: fmt.Sprint("made up ", i)}, long)
	}
	b.Set(lastattempt.Name{What: lastattempt.Use, Of: "long ago"}, failure(lastattempt.KeptFor+time.Hour))
	for when, book := range map[string]*lastattempt.Book{"now": b, "after a restart": open(t, path)} {
		all := book.All(lastattempt.Obtain)
		if _, first := all[lastattempt.Name{What: lastattempt.Obtain, Of: "made up 5"}]; len(all) != lastattempt.Max || first {
			t.Errorf("%s: %d failures, one of the first is there: %v", when, len(all), first)
		}
		if book.Get(stays).At.IsZero() || len(book.All(lastattempt.Use)) > 0 {
			t.Errorf("%s: the failure of another kind was pushed out, or an old one is there", when)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 256<<10 {
		t.Errorf("%v, %v", info, err)
	}
}

// Whatever the texts are, what is written is read again: a file that is too large for that
// would cost every failure.
func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), lastattempt.FileName)
	b := open(t, path)
	kinds := []lastattempt.What{lastattempt.Obtain, lastattempt.Renew, lastattempt.Use}
	long := failure(time.Hour)
	long.Message = strings.Repeat("<\x01\"\u2028", 500)
	long.Where.URI, long.Where.Method, long.Where.ServerError, long.Where.Step = long.Message, long.Message, long.Message, long.Message
	for _, what := range kinds {
		for i := range lastattempt.Max {
			b.Set(lastattempt.Name{What: what, Of: fmt.Sprint(strings.Repeat("&", 120), i)}, long)
		}
	}
	again := open(t, path)
	for _, what := range kinds {
		if n := len(again.All(what)); n != lastattempt.Max {
			t.Errorf("%d of %s", n, what)
		}
	}
}

// An app that tries all the time does not wear out the disk; another failure is written.
func TestTheSameFailureIsWrittenOnceAMinute(t *testing.T) {
	writes := 0
	b := open(t, filepath.Join(t.TempDir(), lastattempt.FileName), func(c *lastattempt.Config) {
		c.Points = func(p string) {
			if p == "attempts-renamed" {
				writes++
			}
		}
	})
	n := lastattempt.Name{What: lastattempt.Use, Of: "x"}
	for range 20 {
		b.Set(n, failure(time.Hour))
	}
	other := failure(time.Hour)
	other.Code = aadsts.UserDisabled
	b.Set(n, other)
	b.Set(n, failure(30*time.Minute))
	b.Drop(n)
	b.Drop(n)
	if writes != 4 {
		t.Errorf("%d writes", writes)
	}
}

func TestACrashLeavesTheOldOrTheNew(t *testing.T) {
	for _, point := range []string{"attempts-temp-created", "attempts-temp-written", "attempts-renamed"} {
		t.Run(point, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), lastattempt.FileName)
			old, fresh := lastattempt.Name{What: lastattempt.Use, Of: "old"}, lastattempt.Name{What: lastattempt.Use, Of: "new"}
			open(t, path).Set(old, failure(time.Hour))
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the point was not reached")
					}
				}()
				open(t, path, func(c *lastattempt.Config) {
					c.Points = func(p string) {
						if p == point {
							panic("killed")
						}
					}
				}).Set(fresh, failure(0))
			}()
			b := open(t, path)
			if got := len(b.All(lastattempt.Use)); b.Get(old).At.IsZero() || (got == 2) != (point == "attempts-renamed") {
				t.Errorf("%d failures", got)
			}
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

// Every member is read as from a stranger; the file goes to quarantine, by name, and the
// book goes on without it.
func TestADamagedFileIsPutAside(t *testing.T) {
	good := map[string]any{"what": "use", "of": "x", "at": time.Now(), "error_kind": "denied"}
	for member, v := range map[string]any{
		"what": "steal", "of": strings.Repeat("x", 1025), "at": time.Time{}, "error_kind": "odd", "user_principal_name": "no name", "credential_kind": "odd",
		"correlation_id": "odd", "aadsts": -1, "http_status": 1000, "message": strings.Repeat("m", 1025), "stranger": 1,
		"": nil, // both are good
	} {
		t.Run(member, func(t *testing.T) {
			bad := map[string]any{}
			for k, v := range good {
				bad[k] = v
			}
			if member != "" {
				bad[member] = v
			}
			path := filepath.Join(t.TempDir(), lastattempt.FileName)
			raw, err := json.Marshal(map[string]any{"version": 1, "attempts": []any{good, bad}})
			if err := errors.Join(err, os.WriteFile(path, raw, 0o600)); err != nil {
				t.Fatal(err)
			}
			files := folder(t, path)
			b, aside := lastattempt.Open(files, lastattempt.Config{}), files.Quarantined()
			if member == "" {
				if len(aside) > 0 || len(b.All(lastattempt.Use)) != 1 {
					t.Errorf("%v, in quarantine %v", b.All(lastattempt.Use), aside)
				}
				return
			}
			if len(aside) != 1 || aside[0].Reason == "" || strings.Contains(aside[0].Reason, "mmm") || len(b.All(lastattempt.Use)) > 0 {
				t.Fatalf("%v, in quarantine %v", b.All(lastattempt.Use), aside)
			}
			n := lastattempt.Name{What: lastattempt.Use, Of: "y"}
			b.Set(n, failure(0))
			if open(t, path).Get(n).At.IsZero() {
				t.Error("the next failure is not kept")
			}
		})
	}
}

func TestWithoutADiskFailuresAreInMemory(t *testing.T) {
	dir, said := t.TempDir(), bytes.Buffer{}
	b := open(t, filepath.Join(dir, "state", lastattempt.FileName), func(c *lastattempt.Config) { c.Log = slog.New(slog.NewTextHandler(&said, nil)) })
	if err := os.WriteFile(filepath.Join(dir, "state"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := lastattempt.Name{What: lastattempt.Use, Of: "x"}
	b.Set(n, failure(0))
	if b.Get(n).At.IsZero() || !strings.Contains(said.String(), "not kept over a restart") {
		t.Errorf("%+v, said %s", b.Get(n), said.String())
	}
}
