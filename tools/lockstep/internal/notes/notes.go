// Package notes is the place where servers and laboratories of a user leave a note,
// so that commands find the newest one that runs without being told where.
//
// What lives here: the folder, its order, how a note comes there and goes, and the knock
// at a door. What never may: what stands in a note; that belongs to who writes it. Callers are the rooms serve and door.
package notes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sso/lockstep/pkg/durable"
	"github.com/lockstep-sso/lockstep/pkg/rpc"
)

// knock is how long a server may take to let a visitor in.
const knock = time.Second

// Folder is where every server and laboratory of this user leaves a note.
func Folder() (string, error) {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lockstep"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder of this user is known: %w", err)
	}
	return filepath.Join(dir, "lockstep"), nil
}

// Publish writes a note at path and where Newest looks, under prefix and the number of
// its process; the function that it returns takes both away.
func Publish(text []byte, path, prefix string, pid int) (retire func() error, err error) {
	paths := []string{path}
	if dir, err := Folder(); err == nil {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%s%d.json", prefix, pid)))
	}
	retire = func() error {
		var errs []error
		for _, p := range paths {
			errs = append(errs, durable.Remove(p))
		}
		return errors.Join(errs...)
	}
	for _, p := range paths {
		if err := durable.WriteFile(p, text, nil); err != nil {
			return nil, errors.Join(err, retire())
		}
	}
	return retire, nil
}

// Newest are the paths of the notes whose names begin with prefix, the newest first.
func Newest(dir, prefix string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	at := map[string]time.Time{}
	var paths []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), prefix) || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		paths, at[path] = append(paths, path), info.ModTime()
	}
	slices.SortFunc(paths, func(a, b string) int { return at[b].Compare(at[a]) })
	return paths
}

// Answers says whether somebody listens at an address: unix:PATH or tcp:HOST:PORT.
func Answers(addr string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), knock)
	defer cancel()
	conn, err := rpc.OS{}.Dial(ctx, addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
