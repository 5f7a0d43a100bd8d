// Package axe judges whether people who cannot see, or see badly, can use a page.
//
// What lives here: axe-core, as the lock file pins it, and checks of our own that
// need no package. What never may: exceptions for a page. The tests of the module
// are the only callers.
package axe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Judge has the script of axe-core.
type Judge struct{ script string }

// New installs axe-core into dir by npm, unless it is there from the same lock file.
func New(ctx context.Context, source, dir string) (*Judge, error) {
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	file, copied := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"), filepath.Join(dir, "package-lock.json")
	before, err := os.ReadFile(copied)
	if _, there := os.Stat(file); err != nil || there != nil || !bytes.Equal(before, lock) {
		if err := install(ctx, source, dir, lock); err != nil {
			return nil, err
		}
	}
	script, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return &Judge{script: string(script)}, nil
}

func install(ctx context.Context, source, dir string, lock []byte) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("axe-core comes by npm, and there is no npm: install it (Debian: apt-get install npm)")
	}
	pkg, err := os.ReadFile(filepath.Join(source, "package.json"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{"package.json": pkg, "package-lock.json": lock} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.Remove(filepath.Join(dir, "package-lock.json")) // or the next run takes it for installed
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	return nil
}

// Page is what is judged.
type Page interface {
	// Add runs a script. Ask runs one and answers its JSON text, AskLater waits for
	// the promise that it answers.
	Add(script string)
	Ask(script string) string
	AskLater(script string) string
}

// rules are those of WCAG 2.2, levels A and AA, and what axe-core calls good practice.
const rules = `axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
	.then((r) => r.violations.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => n.html + " -- " + n.failureSummary)})))`

// Faults are what is wrong with a page; none when it is good.
func (j *Judge) Faults(p Page) ([]string, error) {
	p.Add("if (!window.axe) { " + j.script + " }")
	var found []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(p.AskLater(rules)), &found); err != nil {
		return nil, fmt.Errorf("axe-core answered no list: %w", err)
	}
	var faults []string
	for _, f := range found {
		faults = append(faults, f.ID+": "+f.Help+":\n\t"+strings.Join(f.Nodes, "\n\t"))
	}
	return faults, nil
}
