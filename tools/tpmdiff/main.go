// Command tpmdiff runs random sequences of commands on pkg/softtpm and on another
// TPM, and says where they answer differently.
//
// It exits with 1 when a difference is not in allowed.txt, and when a difference
// that is there did not occur in a full run.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// options are what a run is told.
type options struct {
	reference string
	seed      uint64
	sequences int
	steps     int
	only      int
	full      bool
	details   string
}

func main() {
	var o options
	flag.StringVar(&o.reference, "reference", "swtpm", "the TPM to compare with: swtpm or mssim")
	flag.Uint64Var(&o.seed, "seed", 1, "decides what is tried")
	flag.IntVar(&o.sequences, "sequences", 600, "how many new pairs of TPMs are tried")
	flag.IntVar(&o.steps, "steps", 120, "commands of a sequence")
	flag.IntVar(&o.only, "only", -1, "run this sequence alone")
	flag.BoolVar(&o.full, "full", false, "fail for allowed differences that did not occur")
	flag.StringVar(&o.details, "details", "", "file for the shortest sequence to each difference (default none)")
	flag.Parse()
	ok, err := run(os.Stdout, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tpmdiff:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// found is a kind of difference, with the first sequence that led to it.
type found struct {
	first    divergence
	count    int
	seed     uint64
	sequence int
	steps    []*step
	notes    map[string]int
}

func run(out io.Writer, o options) (bool, error) {
	ref, err := reference(o.reference)
	if err != nil {
		return false, err
	}
	defer func() { _ = ref.Close() }()
	return judge(out, o, &soft{}, ref, allowedText)
}

// judge compares two TPMs.
func judge(out io.Writer, o options, ours, ref target, list string) (bool, error) {
	rules, err := allowed(list)
	if err != nil {
		return false, err
	}
	keys, err := newOutside(&random{o.seed})
	if err != nil {
		return false, err
	}
	first, err := newPair(ours, ref)
	if err != nil {
		return false, err
	}
	supported, err := both(first)
	if err != nil {
		return false, err
	}
	groups := map[string]*found{}
	commands, worked := 0, map[string][2]int{}
	for n := range o.sequences {
		if o.only >= 0 && n != o.only {
			continue
		}
		seq, err := sequence(o, n, ours, ref, keys, supported, rules)
		if err != nil {
			return false, fmt.Errorf("seed %d, sequence %d: %w", o.seed, n, err)
		}
		commands += len(seq.trace)
		for _, t := range seq.trace {
			w := worked[t.name]
			if t.codes[0] == 0 {
				w[0]++
			} else {
				w[1]++
			}
			worked[t.name] = w
		}
		for _, at := range seq.found {
			f := groups[at.group()]
			if f == nil {
				f = &found{first: at.divergence, seed: o.seed, sequence: n, steps: seq.steps[:at.steps], notes: map[string]int{}}
				groups[at.group()] = f
			}
			f.count++
			f.notes[at.note]++
		}
	}
	return report(out, o, ours, ref, groups, rules, commands, worked)
}

// result is what one sequence came to.
type result struct {
	steps []*step
	trace []traced
	found []divergedAt
}

// divergedAt is a divergence with how many steps it took.
type divergedAt struct {
	divergence
	steps int
}

// sequence runs one sequence on two new TPMs, to its end or until one did what
// the other refused: from there on they have another state.
func sequence(o options, n int, ours, ref target, keys *outside, supported map[uint32]bool, rules []*rule) (result, error) {
	p, err := newPair(ours, ref)
	if err != nil {
		return result{}, err
	}
	r := &random{o.seed<<20 + uint64(n)}
	g := newGenerator(r, keys, supported)
	var res result
	for range o.steps {
		s, done := g.next()
		res.steps = append(res.steps, s)
		d, ok, err := p.do(s)
		res.trace = p.trace
		if err != nil {
			return res, fmt.Errorf("%s (%s): %w", layoutOf(s.cc).name, s.note, err)
		}
		if done != nil {
			done(ok)
		}
		if d == nil {
			continue
		}
		if !allow(rules, d) {
			res.found = append(res.found, divergedAt{*d, len(res.steps)})
		}
		if codes := p.trace[len(p.trace)-1].codes; (codes[0] == 0) != (codes[1] == 0) {
			return res, nil
		}
	}
	return res, nil
}

// both are the commands that both TPMs have.
func both(p *pair) (map[uint32]bool, error) {
	have := func(t target) (map[uint32]bool, error) {
		cmd := cat(u16(tagNoSessions), u32(22), u32(ccGetCapability), u32(2), u32(0), u32(256))
		rsp, err := t.Send(cmd)
		if err := succeeded("GetCapability", rsp, err); err != nil {
			return nil, err
		}
		r := reader{b: rsp[15:]}
		list := map[uint32]bool{}
		for n := r.u32(); n > 0; n-- {
			list[r.u32()&0xffff] = true
		}
		if r.bad {
			return nil, fmt.Errorf("%s: commands %x", t.Name(), rsp)
		}
		return list, nil
	}
	a, err := have(p.soft.tpm)
	if err != nil {
		return nil, err
	}
	b, err := have(p.ref.tpm)
	if err != nil {
		return nil, err
	}
	for cc := range a {
		if !b[cc] {
			delete(a, cc)
		}
	}
	return a, nil
}

func report(out io.Writer, o options, ours, ref target, groups map[string]*found, rules []*rule, commands int, worked map[string][2]int) (bool, error) {
	var names []string
	for name := range worked {
		names = append(names, name)
	}
	slices.Sort(names)
	good := 0
	for _, name := range names {
		good += worked[name][0]
		_, _ = fmt.Fprintf(out, "%-28s %6d done %6d refused\n", name, worked[name][0], worked[name][1])
	}
	var details strings.Builder
	ids := make([]string, 0, len(groups))
	for id := range groups {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return groups[b].count - groups[a].count })
	for _, id := range ids {
		f := groups[id]
		_, _ = fmt.Fprintf(out, "%4d times  %s  (seed %d, sequence %d; made wrong by: %v) %.200s\n", f.count, id, f.seed, f.sequence, f.notes, f.first.detail)
		if o.details != "" {
			shorten(&details, ours, ref, f)
		}
	}
	if o.details != "" {
		if err := os.WriteFile(o.details, []byte(details.String()), 0o600); err != nil {
			return false, err
		}
	}
	unused := 0
	for _, r := range rules {
		if o.full && r.used == 0 && (r.target == "*" || r.target == ref.Name()) {
			unused++
			_, _ = fmt.Fprintf(out, "allowed and did not occur: %s | %s | %s | %s\n", r.target, r.command, r.soft, r.ref)
		}
	}
	_, _ = fmt.Fprintf(out, "%s: seed %d, %d commands, %d of them done: %d differences, %d allowed ones did not occur\n", ref.Name(), o.seed, commands, good, len(groups), unused)
	return len(groups) == 0 && unused == 0, nil
}

// shorten leaves out every step without which the difference is still there, and
// writes what remains.
func shorten(w io.Writer, ours, ref target, f *found) {
	again := func(steps []*step) *pair {
		p, err := newPair(ours, ref)
		if err != nil {
			return nil
		}
		for i, s := range steps {
			d, _, err := p.do(s)
			if err != nil {
				return nil
			}
			if d != nil && i == len(steps)-1 && d.group() == f.first.group() {
				return p
			}
		}
		return nil
	}
	steps := f.steps
	best := again(steps)
	for size := len(steps) / 2; best != nil && size > 0; size /= 2 {
		for i := len(steps) - 1 - size; i >= 0; i -= size {
			fewer := append(slices.Clone(steps[:i]), steps[i+size:]...)
			if p := again(fewer); p != nil {
				steps, best = fewer, p
			}
		}
	}
	_, _ = fmt.Fprintf(w, "== %s\n%d times; seed %d, sequence %d; made wrong by: %v\n", f.first.group(), f.count, f.seed, f.sequence, f.notes)
	if best == nil {
		_, _ = fmt.Fprintf(w, "did not occur again: %s\n\n", f.first.detail)
		return
	}
	for _, t := range best.trace {
		_, _ = fmt.Fprintf(w, "%s %s\n  soft %s\n  %-4s %s\n", t.name, t.note, t.soft, ref.Name(), t.ref)
	}
	_, _ = fmt.Fprintln(w)
}
