// Package oci puts images together from files and writes them as archives, with neither a
// registry nor a daemon. All times are zero and all order is fixed: the same files give
// the same digest.
//
// An archive is an OCI layout which Docker reads too, because the older index of
// `docker save` stands beside it: `kind load image-archive`, `ctr images import` and
// `docker load` take it, and containerd keeps the digest.
//
// What never may live here: what is in an image. Callers are the commands of this tool.
package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Nobody is who programs in images run as.
const Nobody = "65532:65532"

// File is one file of an image; without Data and Link it is a folder.
type File struct {
	Mode int64
	Data []byte
	// Link makes it a symbolic link.
	Link string
}

// Spec is what is in an image.
type Spec struct {
	// Files by their absolute path; folders above them come by themselves.
	Files      map[string]File
	Entrypoint []string
	Env        []string
	Title      string
}

// New puts an image together.
func New(s Spec) (v1.Image, error) {
	raw, err := layer(s.Files)
	if err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{Layer: l, History: v1.History{Created: v1.Time{Time: time.Unix(0, 0).UTC()}, CreatedBy: "lockstep images"}})
	if err != nil {
		return nil, err
	}
	old, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg := old.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", "amd64", v1.Time{Time: time.Unix(0, 0).UTC()}
	cfg.Config = v1.Config{
		User: Nobody, WorkingDir: "/", Entrypoint: s.Entrypoint, Env: append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, s.Env...),
		Labels: map[string]string{"org.opencontainers.image.title": s.Title, "org.opencontainers.image.licenses": "Apache-2.0"},
	}
	return mutate.ConfigFile(img, cfg)
}

// layer is the files as a tar archive: folders before what is in them, by name.
func layer(files map[string]File) ([]byte, error) {
	all := map[string]File{}
	for p, f := range files {
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
			return nil, fmt.Errorf("%q is no absolute path of a file", p)
		}
		all[p] = f
		for d := path.Dir(p); d != "/"; d = path.Dir(d) {
			if _, ok := files[d]; !ok {
				all[d] = File{Mode: 0o755}
			}
		}
	}
	names := make([]string, 0, len(all))
	for p := range all {
		names = append(names, p)
	}
	slices.Sort(names)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, p := range names {
		f := all[p]
		h := &tar.Header{Name: strings.TrimPrefix(p, "/"), Mode: f.Mode, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		switch {
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		case f.Data != nil:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(f.Data))
		default:
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(f.Data); err != nil {
				return nil, fmt.Errorf("%s: %w", p, err)
			}
		}
	}
	err := w.Close() // before the bytes are taken: it writes the end of the archive
	return out.Bytes(), err
}

// Archive writes an image under its name, as lockstep/idp:dev.
func Archive(w io.Writer, img v1.Image, name string) error {
	parts, err := blobs(img)
	if err != nil {
		return err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return err
	}
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	_, tag, _ := strings.Cut(name, ":")
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{
		MediaType: manifest.MediaType, Digest: digest, Size: int64(len(raw)),
		Annotations: map[string]string{"io.containerd.image.name": "docker.io/" + name, "org.opencontainers.image.ref.name": tag},
	}}}
	layers := []string{}
	for _, l := range manifest.Layers {
		layers = append(layers, blobPath(l.Digest))
	}
	old := []map[string]any{{"Config": blobPath(manifest.Config.Digest), "RepoTags": []string{name}, "Layers": layers}}
	for file, v := range map[string]any{"index.json": index, "manifest.json": old, "oci-layout": map[string]string{"imageLayoutVersion": "1.0.0"}} {
		if parts[file], err = json.Marshal(v); err != nil {
			return err
		}
	}
	return writeTar(w, parts)
}

// blobs are the manifest, the configuration and the layers of an image by their path in
// an OCI layout.
func blobs(img v1.Image) (map[string][]byte, error) {
	parts := map[string][]byte{}
	put := func(b []byte, err error) error {
		if err != nil {
			return err
		}
		h, _, err := v1.SHA256(bytes.NewReader(b))
		parts["blobs/sha256/"+h.Hex] = b
		return err
	}
	if err := put(img.RawManifest()); err != nil {
		return nil, err
	}
	if err := put(img.RawConfigFile()); err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		r, err := l.Compressed()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r)
		_ = r.Close()
		if err := put(b, err); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func writeTar(w io.Writer, parts map[string][]byte) error {
	names := []string{}
	for p := range parts {
		names = append(names, p)
	}
	slices.Sort(names)
	t := tar.NewWriter(w)
	for _, p := range names {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: p, Mode: 0o644, Size: int64(len(parts[p])), ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		if _, err := t.Write(parts[p]); err != nil {
			return err
		}
	}
	return t.Close()
}
