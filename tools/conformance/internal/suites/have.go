package suites

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// python runs a program of the python folder in a virtual environment with what
// requirements.txt pins, or requirements-NAME.txt for a client that cannot share.
func python(program, name string) func(context.Context, Place) ([]string, error) {
	return func(ctx context.Context, p Place) ([]string, error) {
		venv := filepath.Join(p.Cache, "venv"+name)
		bin := filepath.Join(venv, "bin", "python")
		pinned := filepath.Join(p.Source, "python", "requirements"+name+".txt")
		err := stamped(venv, []string{pinned}, func() error {
			p.Log("installing the Python clients of %s", filepath.Base(pinned))
			if err := tool(ctx, p.Root, nil, "python3", "-m", "venv", "--clear", venv); err != nil {
				return err
			}
			return tool(ctx, p.Root, nil, bin, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", pinned)
		})
		if err != nil {
			return nil, err
		}
		command := []string{bin, "-B", "-u", filepath.Join(p.Source, "python", program)}
		if program == "vectors.py" {
			command = append(command, filepath.Join(p.Root, "pkg", "entrawire", "testdata", "vectors"))
		}
		return command, nil
	}
}

// node runs a program of the node folder beside the packages of its lock file. It
// is copied to them: a node_modules in the sources would be part of them.
func node(program string) func(context.Context, Place) ([]string, error) {
	return func(ctx context.Context, p Place) ([]string, error) {
		dir, source := filepath.Join(p.Cache, "node"), filepath.Join(p.Source, "node")
		lock := []string{filepath.Join(source, "package.json"), filepath.Join(source, "package-lock.json")}
		err := stamped(dir, lock, func() error {
			p.Log("installing the Node clients of package-lock.json")
			if err := copyFiles(dir, lock); err != nil {
				return err
			}
			return tool(ctx, dir, nil, "npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
		})
		if err != nil {
			return nil, err
		}
		programs, err := filepath.Glob(filepath.Join(source, "*.mjs"))
		if err != nil {
			return nil, err
		}
		if err := copyFiles(dir, programs); err != nil {
			return nil, err
		}
		return []string{"node", "--import", filepath.Join(dir, "proxy.mjs"), filepath.Join(dir, program)}, nil
	}
}

func copyFiles(dir string, files []string) error {
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), raw, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// golang runs the program that holds the clients in Go; go.sum pins them.
func golang(client string) func(context.Context, Place) ([]string, error) {
	return func(ctx context.Context, p Place) ([]string, error) {
		bin := filepath.Join(p.Cache, "goclients")
		if err := build(ctx, p, bin, "./cmd/goclients"); err != nil {
			return nil, err
		}
		return []string{bin, client}, nil
	}
}

// Browser builds the browser that clients start, into a folder for their PATH.
func Browser(ctx context.Context, p Place) (path string, err error) {
	path = filepath.Join(p.Cache, "path")
	if err := build(ctx, p, filepath.Join(path, "xdg-open"), "./cmd/browser"); err != nil {
		return "", err
	}
	return path, nil
}

func build(ctx context.Context, p Place, out, pkg string) error {
	return tool(ctx, p.Source, []string{"GOWORK=off"}, "go", "build", "-o", out, pkg)
}

// rust builds the program that holds libhimmelblau; Cargo.lock pins it.
func rust(ctx context.Context, p Place) ([]string, error) {
	dir := filepath.Join(p.Cache, "rust")
	manifest := filepath.Join(p.Source, "rust", "Cargo.toml")
	p.Log("building libhimmelblau, which takes minutes the first time")
	if err := tool(ctx, p.Root, []string{"CARGO_TARGET_DIR=" + dir}, "cargo", "build", "--quiet", "--locked", "--manifest-path", manifest); err != nil {
		return nil, fmt.Errorf("build it: %w", err)
	}
	return []string{filepath.Join(dir, "debug", "himmelblau-cases")}, nil
}
