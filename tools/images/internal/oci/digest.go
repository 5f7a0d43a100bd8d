package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// maxIndex bounds the JSON files of an archive, in bytes.
const maxIndex = 1 << 20

// Digest is the digest of the one image in an archive, after every part of it was
// compared with its own: who loads the archive gets what the digest stands for.
func Digest(r io.Reader) (string, error) {
	var index v1.IndexManifest
	var docker []dockerEntry
	found := map[string][]byte{}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		hex, blob := strings.CutPrefix(h.Name, "blobs/sha256/")
		if blob {
			var start bytes.Buffer
			got, _, err := v1.SHA256(io.TeeReader(t, &limited{&start}))
			if err != nil {
				return "", err
			}
			if got.Hex != hex {
				return "", fmt.Errorf("%s is not what its name says", h.Name)
			}
			found["sha256:"+hex] = start.Bytes()
		}
		err = nil
		switch h.Name {
		case "index.json":
			err = json.NewDecoder(io.LimitReader(t, maxIndex)).Decode(&index)
		case "manifest.json":
			err = json.NewDecoder(io.LimitReader(t, maxIndex)).Decode(&docker)
		case "oci-layout":
		default:
			if !blob {
				err = errors.New("it does not belong into an archive")
			}
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return one(index, docker, found)
}

// dockerEntry is what docker load goes by.
type dockerEntry struct {
	Config string
	Layers []string
}

// one is the digest of the index's one image, whose parts must all be found, and which
// must be the one that Docker would load too.
func one(index v1.IndexManifest, docker []dockerEntry, found map[string][]byte) (string, error) {
	if len(index.Manifests) != 1 {
		return "", fmt.Errorf("%d images are in the archive, not one", len(index.Manifests))
	}
	digest := index.Manifests[0].Digest.String()
	var m v1.Manifest
	if err := json.Unmarshal(found[digest], &m); err != nil {
		return "", fmt.Errorf("manifest %s: %w", digest, err)
	}
	for _, d := range append(m.Layers, m.Config) {
		if _, ok := found[d.Digest.String()]; !ok {
			return "", fmt.Errorf("%s is not in the archive", d.Digest)
		}
	}
	if len(found) != 2+len(m.Layers) {
		return "", errors.New("the archive has more in it than its image")
	}
	want := dockerEntry{Config: blobPath(m.Config.Digest)}
	for _, l := range m.Layers {
		want.Layers = append(want.Layers, blobPath(l.Digest))
	}
	if len(docker) != 1 || docker[0].Config != want.Config || !slices.Equal(docker[0].Layers, want.Layers) {
		return "", errors.New("manifest.json speaks of another image than index.json")
	}
	return digest, nil
}

// blobPath is where a part lies in an archive.
func blobPath(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// limited keeps the start of what is written, and takes the rest without keeping it.
type limited struct{ to *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxIndex - l.to.Len(); room > 0 {
		l.to.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
