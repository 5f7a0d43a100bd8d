package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/lockstep-sso/lockstep/tools/images/internal/distro"
	"github.com/lockstep-sso/lockstep/tools/images/internal/list"
)

const repository = "../.."

// small is an image whose program is quickly compiled.
const small = "softtpm"

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := runTo(t.Context(), &out, args...)
	return out.String(), err
}

func runTo(ctx context.Context, out io.Writer, args ...string) error {
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(out)
	return cmd.ExecuteContext(ctx)
}

// told logs each line when it comes, which go test -v shows at once.
type told struct {
	t    *testing.T
	tree int
}

func (l told) Write(p []byte) (int, error) {
	l.t.Logf("tree %d: %s", l.tree, bytes.TrimSpace(p))
	return len(p), nil
}

// TestTheList finds each program of the list in the repository.
func TestTheList(t *testing.T) {
	all, err := list.Read(repository, nil)
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, i := range all {
		if _, err := os.Stat(filepath.Join(repository, i.Module, i.Package)); err != nil {
			t.Errorf("%s: %v", i.Name, err)
		}
	}
	if _, err := list.Read(repository, []string{"none"}); err == nil {
		t.Error("an image that is not there is made")
	}
	for _, bad := range []string{"a .", "A . ./x", "a .. ./x", "a . /x", "a . ./x\na . ./y"} {
		if _, err := list.Parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// unpack has the machine's own tar unpack an archive and the layers in it, and returns
// the folder that a container would have.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	parts, folder := t.TempDir(), t.TempDir()
	tar := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), "tar", args...).CombinedOutput(); err != nil {
			t.Fatalf("tar %v: %v\n%s", args, err, out)
		}
	}
	tar("-xf", archive, "-C", parts)
	raw, err := os.ReadFile(filepath.Join(parts, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m []struct{ Layers []string }
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for _, l := range m[0].Layers {
		tar("-xzf", filepath.Join(parts, l), "-C", folder)
	}
	return folder
}

// TestDEP10_AnImage makes one, runs the program out of it, and reads what is in it.
func TestDEP10_AnImage(t *testing.T) {
	out := t.TempDir()
	if said, err := run(t, "archives", small, "--root", repository, "--out", out); err != nil {
		t.Fatal(err, said)
	}
	folder := unpack(t, filepath.Join(out, small+".tar"))
	if said, err := exec.CommandContext(t.Context(), filepath.Join(folder, "app"), "--help").CombinedOutput(); err != nil || !bytes.Contains(said, []byte("TPM")) {
		t.Errorf("the program: %v\n%s", err, said)
	}
	raw, err := os.ReadFile(filepath.Join(out, small+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bom cyclonedx.BOM
	if err := json.Unmarshal(raw, &bom); err != nil || bom.Components == nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pkg:golang/std@", "pkg:golang/google.golang.org/grpc@v", "pkg:golang/github.com/spf13/pflag@v"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in\n%.2000s", want, raw)
		}
	}
	if bom.SerialNumber != "" || bom.Metadata.Timestamp != "" {
		t.Errorf("the list is another each time: %q, %q", bom.SerialNumber, bom.Metadata.Timestamp)
	}
	signatures(t, out)
}

// signatures signs what is in the folder, has openssl judge, and then changes each part.
func signatures(t *testing.T, out string) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key.pem")
	if said, err := run(t, "sign", "--root", repository, "--out", out, "--key", key); err != nil {
		t.Fatal(err, said)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	verify := func() error {
		_, err := run(t, "verify", "--root", repository, "--out", out, "--key", key+".pub")
		return err
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	openssl(t, out, key+".pub")
	for _, file := range []string{small + ".payload.json", small + ".sig", small + ".tar"} {
		path := filepath.Join(out, file)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		now := bytes.Clone(was)
		now[len(now)/3] ^= 1
		if err := os.WriteFile(path, now, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := verify(); err == nil {
			t.Errorf("%s was changed, and nobody saw it", file)
		}
		if err := os.WriteFile(path, was, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := run(t, "sign", "--root", repository, "--out", out, "--key", key+".pub"); err == nil {
		t.Errorf("a public key signs: %s", said)
	}
}

// openssl is the judge from outside: the payload speaks of the digest that is in the
// archive, and the signature is of the key.
func openssl(t *testing.T, out, public string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `openssl base64 -d -A -in "$1.sig" > "$1.raw" && openssl dgst -sha256 -verify "$2" -signature "$1.raw" "$1.payload.json"; s=$?; rm -f "$1.raw"; exit $s`,
		"sh", filepath.Join(out, small), public)
	said, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "Verified OK") {
		t.Errorf("openssl: %v\n%s", err, said)
	}
	index := exec.CommandContext(t.Context(), "tar", "-xOf", filepath.Join(out, small+".tar"), "index.json")
	raw, err := index.Output()
	if err != nil {
		t.Fatal(err)
	}
	var i struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(raw, &i); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(out, small+".payload.json"))
	if err != nil || !strings.Contains(string(body), `"docker-manifest-digest":"`+i.Manifests[0].Digest+`"`) || !strings.Contains(string(body), `"docker-reference":"docker.io/lockstep/`+small+`"`) {
		t.Errorf("%s, %v", body, err)
	}
}

// rooted makes an image of the distribution and returns the folder of a container of it.
// It skips where the machine has not what the image is taken from.
func rooted(t *testing.T, name, program string) string {
	t.Helper()
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		t.Skip("this machine has no dpkg-query: its programs are not of Debian")
	}
	if found, err := filepath.Glob(program); err != nil || len(found) == 0 {
		t.Skipf("%s is not installed here", program)
	}
	out := t.TempDir()
	if said, err := run(t, "archives", name, "--root", repository, "--out", out); err != nil {
		t.Fatal(err, said)
	}
	bom, err := os.ReadFile(filepath.Join(out, name+".cdx.json"))
	if err != nil || !strings.Contains(string(bom), "pkg:deb/debian/libc6@") {
		t.Errorf("%s, %v", bom, err)
	}
	folder := unpack(t, filepath.Join(out, name+".tar"))
	if os.Geteuid() != 0 {
		t.Skip("only root can start a program in another root folder")
	}
	return folder
}

// TestSwtpmStarts from nothing but the image.
func TestSwtpmStarts(t *testing.T) {
	folder := rooted(t, "swtpm", "/usr/bin/swtpm")
	said, err := exec.CommandContext(t.Context(), "chroot", folder, "/usr/bin/swtpm", "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(said), "TPM emulator version") {
		t.Errorf("%v\n%s", err, said)
	}
	if _, err := distro.New(t.Context(), "none"); err == nil {
		t.Error("an image of nothing")
	}
}

// TestPostgresStarts twice, from nothing but the image and a folder for its data: the
// first start makes the database.
func TestPostgresStarts(t *testing.T) {
	folder := rooted(t, "postgres", "/usr/lib/postgresql/*/bin/postgres")
	script := `cd "$1" && mkdir -p dev/shm data var/run/postgresql && chmod 1777 dev/shm && mknod -m 666 dev/null c 1 3 && echo >dev/null && printf secret >password && chown -R 65532:65532 data var password && chmod 755 .`
	if said, err := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", folder).CombinedOutput(); err != nil {
		t.Skipf("a root folder with a device in it cannot be made here: %v, %s", err, said)
	}
	for _, making := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := exec.CommandContext(ctx, "chroot", "--userspec=65532:65532", folder, "/start", "-c", "listen_addresses=")
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "PGHOME=" + home(t), "PGDATA=/data/db", "LC_ALL=C", "POSTGRES_USER=idp", "POSTGRES_DB=idp", "POSTGRES_PASSWORD_FILE=/password"}
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		said, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		ready := false
		for s := bufio.NewScanner(said); s.Scan(); {
			all.WriteString(s.Text() + "\n")
			if strings.Contains(s.Text(), "ready to accept connections") {
				ready = true
				cancel()
			}
		}
		_ = cmd.Wait() // it was interrupted
		cancel()
		if !ready {
			t.Fatalf("it does not start:\n%s%s", out.String(), all.String())
		}
		if made := strings.Contains(out.String(), "creating configuration files"); made != making {
			t.Errorf("data were made: %v", made)
		}
	}
	if info, err := os.Stat(filepath.Join(folder, "data", "db")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data: %v, %v", info, err)
	}
}

// home is where Debian has its newest PostgreSQL.
func home(t *testing.T) string {
	t.Helper()
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return filepath.Dir(filepath.Dir(all[len(all)-1]))
}

// treeWithin bounds the making of all images from one tree of sources, with an empty cache
// and on a machine that does other things: some ten minutes of processor time.
const treeWithin = 45 * time.Minute

// TestT15_TwoBuildersGiveTheSameDigests builds images in two copies of the sources, in
// folders of other names, under other users' settings, each with one cache that is empty
// and is gone afterwards. LOCKSTEP_IMAGES names the images, or is all.
func TestT15_TwoBuildersGiveTheSameDigests(t *testing.T) {
	names := strings.Fields(os.Getenv("LOCKSTEP_IMAGES"))
	if len(names) == 0 {
		names = []string{small}
	}
	if names[0] == "all" {
		names = nil
	}
	wanted, err := list.Read(repository, names)
	if err != nil {
		t.Fatal(err)
	}
	digests := map[string][]string{}
	for n, place := range []string{"one", "another/place/with/a/longer/name"} {
		dir, cache, out := filepath.Join(t.TempDir(), place), filepath.Join(t.TempDir(), "cache"), t.TempDir()
		clone(t, dir)
		t.Setenv("GOCACHE", cache)
		t.Setenv("TZ", []string{"UTC", "Asia/Tokyo"}[n])
		t.Setenv("USER", []string{"alice", "bob"}[n])
		ctx, cancel := context.WithTimeout(t.Context(), treeWithin)
		err := runTo(ctx, told{t, n + 1}, append([]string{"archives", "--root", dir, "--out", out}, names...)...)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(cache); err != nil {
			t.Fatal(err)
		}
		for _, i := range wanted {
			for _, ext := range []string{".digest", ".cdx.json", ".tar"} {
				digests[i.Name+ext] = append(digests[i.Name+ext], sum(t, filepath.Join(out, i.Name+ext)))
			}
		}
	}
	for file, d := range digests {
		if len(d) != 2 || d[0] != d[1] {
			t.Errorf("%s: %v", file, d)
		}
		t.Logf("%s: %s", file, d[0])
	}
}

// clone copies the sources as they are, without what was built and without their history.
func clone(t *testing.T, dir string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "-C", repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	files, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(files), "\x00"), "\x00") {
		from := filepath.Join(repository, name)
		if info, err := os.Lstat(from); errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // removed here, or a link out of the repository
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func sum(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(raw))
}
