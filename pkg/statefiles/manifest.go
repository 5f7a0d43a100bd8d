package statefiles

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lockstep-sso/lockstep/pkg/durable"
)

const (
	// manifestName is the file that lists the others.
	manifestName    = "manifest.json"
	manifestVersion = 1
	// maxFiles bounds what a manifest may list.
	maxFiles = 10_000
)

// digest is a SHA-256.
type digest = [sha256.Size]byte

// manifest has the digest of each file by its name. The digest of it stands for the
// state as a whole: it depends on names and contents, and not on how the manifest is
// written down. A manifest is not changed once it is in use.
type manifest map[string]digest

func (m manifest) digest() digest {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(m)) {
		sum := m[name]
		_, _ = fmt.Fprintf(h, "%d:%s,%x\n", len(name), name, sum) // a hash takes everything
	}
	return digest(h.Sum(nil))
}

// with is the manifest after a file was written.
func (m manifest) with(name string, content digest) manifest {
	next := maps.Clone(m)
	next[name] = content
	return next
}

// without is the manifest after a file was removed.
func (m manifest) without(names ...string) manifest {
	next := maps.Clone(m)
	for _, name := range names {
		delete(next, name)
	}
	return next
}

// manifestFile is its JSON form.
type manifestFile struct {
	Version int               `json:"version"`
	Files   map[string]string `json:"files"`
}

func (m manifest) encode() ([]byte, error) {
	f := manifestFile{Version: manifestVersion, Files: map[string]string{}}
	for name, sum := range m {
		f.Files[name] = hex.EncodeToString(sum[:])
	}
	return json.Marshal(f) // sorts the names
}

// decodeManifest reads a manifest as from a stranger.
func decodeManifest(data []byte) (manifest, error) {
	var f manifestFile
	if err := durable.DecodeJSON(data, &f); err != nil {
		return nil, err
	}
	if f.Version != manifestVersion || len(f.Files) > maxFiles {
		return nil, errors.New("its version is another one, or it is too long")
	}
	m := manifest{}
	for name, text := range f.Files {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != sha256.Size {
			return nil, errors.New("a digest is not 64 hex digits")
		}
		m[name] = digest(raw)
	}
	return m, nil
}

// scan is the manifest of what is on disk. What is no file, or cannot be read, has the
// zero digest, which no content has.
func (f *Files) scan() (manifest, error) {
	m := manifest{}
	names := slices.Clone(f.cfg.Names)
	for _, folder := range f.cfg.Folders {
		more, err := f.list(folder)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	for _, name := range names {
		if sum, there := f.sum(name); there {
			m[name] = sum
		}
	}
	return m, nil
}

// stageManifest writes a manifest beside the one in force.
func (f *Files) stageManifest(m manifest) (*durable.Staged, error) {
	data, err := m.encode()
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	// Its crash points have names of their own.
	return durable.Stage(f.Path(manifestName), data, func(point string) { f.cfg.Points.Reached("manifest-" + point) })
}

// keepManifest writes the manifest in force. It only tells which file is an old one
// when the whole is not the newest, so that it could not be written is logged and no
// more: the next start makes it anew.
func (f *Files) keepManifest() {
	staged, err := f.stageManifest(f.current)
	if err == nil {
		err = staged.Commit()
	}
	if err != nil {
		f.cfg.Log.Warn("the manifest of the cache was not written", "error", err)
	}
}
