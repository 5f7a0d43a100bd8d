package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// imageName is the program in an image's name: lockstep/idp:dev is idp.
func imageName(image string) string {
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return name
}

// own says whether an image is one of this repository's.
func own(image string) bool { return strings.HasPrefix(image, "lockstep/") }

// row is a line of a table in deploy/README.md.
var row = regexp.MustCompile("(?m)^\\| `?([a-z-]+)`? \\|(.*)$")

// several is the first cell of a row about more than one setting, for all components.
var several = regexp.MustCompile("(?m)^\\| `[a-z-]+`(, `[a-z-]+`)+ \\|")

// word is what stands in backticks: a flag's or a setting's name, with a value or not.
var word = regexp.MustCompile("`(?:--set )?(-{0,2}[a-z0-9-]+)(?:[=:][^`]*)?`")

// readFlags takes the flags of components and their settings from deploy/README.md, and
// those of other programs from tools/manifests/flags.txt.
func readFlags(root string) (flags, settings map[string][]string, err error) {
	readme, err := os.ReadFile(filepath.Join(root, "deploy", "README.md"))
	if err != nil {
		return nil, nil, err
	}
	golden, err := os.ReadFile(filepath.Join(root, "tools", "manifests", "flags.txt"))
	if err != nil {
		return nil, nil, err
	}
	flags, settings = map[string][]string{}, map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(--[a-z-]+)").FindAllStringSubmatch(string(readme), -1) {
		flags["component"] = append(flags["component"], m[1])
	}
	for _, m := range row.FindAllStringSubmatch(string(readme), -1) {
		for _, w := range word.FindAllStringSubmatch(m[2], -1) {
			settings[m[1]] = append(settings[m[1]], w[1])
		}
	}
	for _, m := range several.FindAllString(string(readme), -1) {
		for _, w := range word.FindAllStringSubmatch(m, -1) {
			settings["setting"] = append(settings["setting"], w[1])
		}
	}
	for line := range strings.Lines(string(golden)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		flags[fields[0]] = append(flags[fields[0]], fields[1:]...)
	}
	return flags, settings, nil
}

// components are the programs that take the flags of pkg/run.
func components() []string {
	return []string{"tpm-agent", "dsreg", "lsa-cloudap", "wam-broker", "idp", "adfs", "faulty"}
}

// flagsExist holds arguments to what the programs take.
func flagsExist(l law, o overlay) ([]string, error) {
	return each(o, func(w workload, say func(string, ...any)) {
		for _, c := range w.containers() {
			if !own(c.Image) {
				continue
			}
			known := slices.Clone(l.flags[imageName(c.Image)])
			if slices.Contains(components(), imageName(c.Image)) {
				known = append(known, l.flags["component"]...)
			}
			if len(known) == 0 {
				say("%s: nothing is written down about the flags of %s", c.Name, c.Image)
			}
			for _, a := range c.Args {
				if bad := l.unknown(imageName(c.Image), known, a); bad != "" {
					say("%s: %s", c.Name, bad)
				}
			}
		}
	}), nil
}

// unknown says what is wrong with an argument, or nothing.
func (l law) unknown(program string, known []string, arg string) string {
	name, value, _ := strings.Cut(arg, "=")
	switch {
	case !strings.HasPrefix(arg, "-"):
		if !slices.Contains(known, arg) && strings.ContainsAny(arg, "abcdefghijklmnopqrstuvwxyz") && !strings.ContainsAny(arg, "/=,") {
			return fmt.Sprintf("%s has no command %s", program, arg)
		}
	case !slices.Contains(known, name):
		return fmt.Sprintf("%s has no flag %s", program, name)
	case name == "--set":
		setting, _, _ := strings.Cut(value, "=")
		if !slices.Contains(l.settings[program], setting) && !slices.Contains(l.settings["setting"], setting) && !slices.Contains(l.flags[program], setting) {
			return fmt.Sprintf("%s has no setting %s that deploy/README.md knows", program, setting)
		}
	}
	return ""
}
