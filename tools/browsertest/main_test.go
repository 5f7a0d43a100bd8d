package browsertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/app"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/axe"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/chrome"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/cloud"
	"github.com/lockstep-sso/lockstep/tools/browsertest/internal/gallery"
)

const (
	domain = "contoso.test"
	root   = "../.."
)

// run is what all tests of a run share. TestMain makes it; no test changes it.
type run struct {
	cloud   *cloud.Cloud
	chrome  *chrome.Chrome
	app     *app.App
	gallery *gallery.Gallery
	judge   *axe.Judge
	// keys are the sums of the server's keys, authority issues cards of its people.
	keys      []string
	authority *authority
}

var the run

func TestMain(m *testing.M) {
	os.Exit(whole(m))
}

func whole(m *testing.M) int {
	program, err := chrome.Find()
	if err != nil && os.Getenv("BROWSER") == "optional" {
		fmt.Println("SKIPPED, NOT PASSED: no page was looked at:", err)
		return 0
	}
	if err != nil {
		return lost(err)
	}
	dir, err := os.MkdirTemp("", "browsertest-")
	if err != nil {
		return lost(err)
	}
	began := time.Now()
	stop, err := start(program, dir)
	if err != nil {
		stop()
		return lost(fmt.Errorf("%w: files are in %s", err, dir))
	}
	code := m.Run()
	the.chrome.Stop()
	the.app.Close()
	if err := the.cloud.Stop(); err != nil {
		code = lost(err)
	}
	name, pages, err := the.gallery.Write(fmt.Sprintf("%s, %s", the.chrome.Version, began.UTC().Format(time.RFC3339)))
	if err != nil {
		code = lost(err)
	}
	fmt.Printf("pictures of %d pages: %s\n", pages, name)
	if err := chrome.CardReader(context.Background()); err != nil {
		fmt.Println("SKIPPED, NOT PASSED: signing in with a certificate:", err)
	}
	if code != 0 {
		fmt.Println("log of the server:", the.cloud.Log)
		return code
	}
	_ = os.RemoveAll(dir)
	return code
}

func lost(err error) int {
	fmt.Fprintln(os.Stderr, "browsertest:", err)
	return 1
}

// start starts server, browser and application; what is to be stopped when a later
// one does not start is in the answer.
func start(program, dir string) (stop func(), err error) {
	stop = func() {}
	ctx := context.Background()
	bin, err := filepath.Abs(filepath.Join(root, "bin"))
	if err != nil {
		return stop, err
	}
	if the.gallery, err = gallery.New(filepath.Join(bin, "browsertest")); err != nil {
		return stop, err
	}
	if the.judge, err = axe.New(ctx, ".", filepath.Join(bin, "browsertest", "axe")); err != nil {
		return stop, err
	}
	if the.authority, err = newAuthority(); err != nil {
		return stop, err
	}
	file, err := tenants(dir, the.authority)
	if err != nil {
		return stop, err
	}
	binary := filepath.Join(bin, "lockstep")
	if b := os.Getenv("LOCKSTEP_BINARY"); b != "" {
		binary = b
	}
	the.cloud, err = cloud.Start(ctx, cloud.Config{Binary: binary, Tenants: file, Dir: dir})
	if err != nil {
		return stop, err
	}
	stop = func() { _ = the.cloud.Stop() }
	if the.keys, err = the.cloud.PublicKeys(ctx, cloud.Login, certAuth); err != nil {
		return stop, err
	}
	profile := filepath.Join(dir, "chromium")
	if err := os.Mkdir(profile, 0o700); err != nil {
		return stop, err
	}
	if the.app, err = app.New(app.Config{HTTP: the.cloud.HTTP, Login: cloud.Login, Tenant: domain}); err != nil {
		return stop, err
	}
	the.chrome, err = chrome.Start(ctx, chrome.Config{Program: program, Proxy: the.cloud.Proxy, PublicKeys: the.keys, Dir: profile})
	return stop, err
}

// browser is a window and what is checked of every page that it shows.
type browser struct {
	*chrome.Window
	t testing.TB
}

// private opens a window without an account: InPrivate, or a machine of nobody.
func private(t testing.TB) *browser {
	t.Helper()
	return &browser{the.chrome.Open(t), t}
}

// page looks at the page that the window shows, under a name: pictures of it, and
// whether everybody can use it. The same page is looked at once a run.
func (b *browser) page(name string) {
	b.t.Helper()
	if the.gallery.Has(name) {
		return
	}
	for _, l := range chrome.Looks() {
		b.As(l, func() {
			if err := the.gallery.Add(name, l.Name, b.Picture()); err != nil {
				b.t.Fatal(err)
			}
			if n := b.Wide(); n > 0 {
				b.t.Errorf("%s, %s: wider than the window by %d pixels", name, l.Name, n)
			}
			if l.Phone {
				return // colours and words are those of the desktop
			}
			faults, err := axe.Own(b)
			if err == nil && !b.Still() { // axe-core waits for promises, which need scripts
				var more []string
				more, err = the.judge.Faults(b)
				faults = append(faults, more...)
			}
			if err != nil {
				b.t.Fatal(err)
			}
			if len(faults) > 0 {
				b.t.Errorf("%s, %s:\n%s", name, l.Name, strings.Join(faults, "\n"))
			}
		})
	}
}
