package main

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed allowed.txt
var allowedText string

// rule allows a difference, for a reason.
type rule struct {
	target, command, soft, ref, reason string
	used                               int
}

// allowed reads the list of differences that are meant.
func allowed(text string) ([]*rule, error) {
	var rules []*rule
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, "|", 5)
		if len(f) != 5 || strings.TrimSpace(f[4]) == "" {
			return nil, fmt.Errorf("allowed.txt:%d: a line is: reference | command | soft | reference's | reason", i+1)
		}
		for j := range f {
			f[j] = strings.TrimSpace(f[j])
		}
		rules = append(rules, &rule{f[0], f[1], f[2], f[3], f[4], 0})
	}
	return rules, nil
}

// allow finds the rule that allows a difference.
func allow(rules []*rule, d *divergence) bool {
	fits := func(pattern, s string) bool { return pattern == "*" || pattern == s }
	for _, r := range rules {
		if fits(r.target, d.target) && fits(r.command, d.command) && fits(r.soft, d.soft) && fits(r.ref, d.ref) {
			r.used++
			return true
		}
	}
	return false
}
