package oci_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/lockstep-sso/lockstep/tools/images/internal/oci"
)

func image(t *testing.T, content string) v1.Image {
	t.Helper()
	img, err := oci.New(oci.Spec{Title: "x", Entrypoint: []string{"/app"}, Files: map[string]oci.File{
		"/app": {Mode: 0o755, Data: []byte(content)}, "/etc/empty": {Mode: 0o644, Data: []byte{}}, "/etc/link": {Link: "empty"}, "/var/tmp": {Mode: 0o1777},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func archive(t *testing.T, img v1.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := oci.Archive(&b, img, "lockstep/x:dev"); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestAnArchiveIsReadByOthers: the library's reader of Docker's form sees the same
// layers and configuration, and the program runs as nobody.
func TestAnArchiveIsReadByOthers(t *testing.T) {
	img := image(t, "program")
	raw := archive(t, img)
	got, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := got.ConfigFile()
	if err != nil || cfg.Config.User != "65532:65532" || cfg.Config.Entrypoint[0] != "/app" || cfg.OS != "linux" {
		t.Errorf("%+v, %v", cfg, err)
	}
	want, _ := img.ConfigName()
	if name, err := got.ConfigName(); err != nil || name != want {
		t.Errorf("%v, %v", name, err)
	}
	layers, err := got.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	r, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	if names := contents(t, r); names != "app etc/ etc/empty etc/link var/ var/tmp/" {
		t.Errorf("%s", names)
	}
}

func contents(t *testing.T, r io.Reader) string {
	t.Helper()
	var names []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.ModTime.Unix() != 0 || h.Name == "app" && h.Mode != 0o755 || h.Name == "var/tmp/" && h.Mode != 0o1777 {
			t.Errorf("%+v", h)
		}
		names = append(names, h.Name)
	}
	return strings.Join(names, " ")
}

func TestTheSameFilesGiveTheSameArchive(t *testing.T) {
	if !bytes.Equal(archive(t, image(t, "a")), archive(t, image(t, "a"))) || bytes.Equal(archive(t, image(t, "a")), archive(t, image(t, "b"))) {
		t.Error("an archive is not what its files are")
	}
	for _, bad := range []string{"app", "/../app", "/"} {
		if _, err := oci.New(oci.Spec{Files: map[string]oci.File{bad: {Data: []byte{}}}}); err == nil {
			t.Errorf("a file at %q", bad)
		}
	}
}

// TestADigestStandsForAllOfAnArchive changes archives in ways that a reader might not see.
func TestADigestStandsForAllOfAnArchive(t *testing.T) {
	img := image(t, "a")
	want, _ := img.Digest()
	raw, other := archive(t, img), archive(t, image(t, "b"))
	if got, err := oci.Digest(bytes.NewReader(raw)); err != nil || got != want.String() {
		t.Errorf("%s, %v", got, err)
	}
	for name, bad := range map[string][]byte{
		"a part was changed":   change(t, raw, func(n string, b []byte) (string, []byte) { return n, flip(n, b, "blobs/") }),
		"a part has left":      change(t, raw, func(n string, b []byte) (string, []byte) { return drop(n, "blobs/"), b }),
		"no index":             change(t, raw, func(n string, b []byte) (string, []byte) { return drop(n, "index.json"), b }),
		"no index for Docker":  change(t, raw, func(n string, b []byte) (string, []byte) { return drop(n, "manifest.json"), b }),
		"another for Docker":   change(t, raw, func(n string, b []byte) (string, []byte) { return n, swap(t, n, b, other) }),
		"something else in it": join(t, raw, "evil.tar"),
		"half of it":           raw[:len(raw)/2],
		"nothing":              nil,
	} {
		if got, err := oci.Digest(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// change writes an archive anew; a file without a name is left out.
func change(t *testing.T, raw []byte, how func(string, []byte) (string, []byte)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, r := tar.NewWriter(&out), tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name, b = how(h.Name, b); h.Name == "" {
			continue
		}
		h.Size = int64(len(b))
		if err := errors.Join(w.WriteHeader(h), write(w, b)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}

func flip(name string, b []byte, prefix string) []byte {
	if strings.HasPrefix(name, prefix) {
		b[len(b)/2] ^= 1
	}
	return b
}

func drop(name, prefix string) string {
	if strings.HasPrefix(name, prefix) {
		return ""
	}
	return name
}

// swap gives the archive the index that another has for Docker.
func swap(t *testing.T, name string, b, other []byte) []byte {
	if name != "manifest.json" {
		return b
	}
	change(t, other, func(n string, theirs []byte) (string, []byte) {
		if n == name {
			b = theirs
		}
		return n, theirs
	})
	return b
}

// join has the archive carry a file of another name.
func join(t *testing.T, raw []byte, name string) []byte {
	return change(t, raw, func(n string, b []byte) (string, []byte) {
		if n == "oci-layout" {
			return name, b
		}
		return n, b
	})
}
