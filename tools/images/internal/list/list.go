// Package list reads the list of images, deploy/images/images.txt, and builds the
// programs in them. The one place where it is decided how a program of an image is
// compiled is here (build.go); callers are the commands of this tool.
package list

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Path of the list in the repository.
const Path = "deploy/images/images.txt"

// Image is one line.
type Image struct {
	Name string
	// Module is the folder of the module, Package the program in it.
	Module, Package string
	// Args are what the entry point begins with, after the program.
	Args []string
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// Read reads the list of the repository at root; only keeps some of it, and names all
// that it wants; empty keeps all.
func Read(root string, only []string) ([]Image, error) {
	raw, err := os.ReadFile(filepath.Join(root, Path))
	if err != nil {
		return nil, err
	}
	all, err := Parse(string(raw))
	if err != nil || len(only) == 0 {
		return all, err
	}
	for _, name := range only {
		if !slices.ContainsFunc(all, func(i Image) bool { return i.Name == name }) {
			return nil, fmt.Errorf("%s: there is no image %s", Path, name)
		}
	}
	return slices.DeleteFunc(all, func(i Image) bool { return !slices.Contains(only, i.Name) }), nil
}

// Parse reads the text of a list.
func Parse(text string) (all []Image, err error) {
	for n, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) < 3 || !validName.MatchString(f[0]) || !filepath.IsLocal(f[1]) || !filepath.IsLocal(f[2]) {
			return nil, fmt.Errorf("%s:%d: not of the form NAME MODULE PACKAGE [ARGUMENT...]", Path, n+1)
		}
		if slices.ContainsFunc(all, func(i Image) bool { return i.Name == f[0] }) {
			return nil, fmt.Errorf("%s:%d: %s stands twice", Path, n+1, f[0])
		}
		all = append(all, Image{Name: f[0], Module: f[1], Package: f[2], Args: f[3:]})
	}
	return all, nil
}
