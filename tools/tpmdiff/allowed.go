package main

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed allowed.txt
var allowedText string

// rule allows a difference, for a reason. Each of its parts is what a divergence
// has, "*" for anything, or for a response code "parameter": one that blames a
// parameter, numbered or not. Commas separate alternatives. when is "*", or "spoiled" for steps that were made
// wrong on purpose.
type rule struct {
	target, command, soft, ref, when, reason string
	used                                     int
}

// allowed reads the list of differences that are meant.
func allowed(text string) ([]*rule, error) {
	var rules []*rule
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.SplitN(line, "|", 6)
		if len(f) != 6 || strings.TrimSpace(f[5]) == "" {
			return nil, fmt.Errorf("allowed.txt:%d: a line is: reference | command | soft's | reference's | when | reason", i+1)
		}
		for j := range f {
			f[j] = strings.TrimSpace(f[j])
		}
		rules = append(rules, &rule{f[0], f[1], f[2], f[3], f[4], f[5], 0})
	}
	return rules, nil
}

// allow finds the first rule that allows a difference.
func allow(rules []*rule, d *divergence) bool {
	for _, r := range rules {
		if fits(r.target, d.target) && fits(r.command, d.command) && fits(r.soft, d.soft) && fits(r.ref, d.ref) &&
			(r.when == "*" || r.when == "spoiled" && d.note != "" && d.note != "power cycle") {
			r.used++
			return true
		}
	}
	return false
}

// fits matches one of the alternatives of a pattern, which commas separate.
func fits(pattern, s string) bool {
	for p := range strings.SplitSeq(pattern, ",") {
		if p = strings.TrimSpace(p); p == "*" || p == s || p == "parameter" && blamesParameter(s) {
			return true
		}
	}
	return false
}

func blamesParameter(s string) bool {
	code, err := strconv.ParseUint(s, 0, 32)
	// Format one is bit 7. Bit 6 is a parameter; without it and without a number
	// in bits 8 to 11 nothing is named (Part 2, 6.6.2).
	return err == nil && code&0x80 != 0 && (code&0x40 != 0 || code&0xf00 == 0)
}
