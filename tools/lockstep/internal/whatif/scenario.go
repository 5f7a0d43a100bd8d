package whatif

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

//go:embed scenarios/*.yaml
var taught embed.FS

// maxScenario bounds a scenario file, in bytes.
const maxScenario = 1 << 20

// Scenario is a file for teaching: who is asked for what, when?
type Scenario struct {
	// Title of the lesson.
	Title string `yaml:"title"`
	// Policy is the policy file of all questions that name no other.
	Policy string `yaml:"policy"`
	// Questions in the order in which they are asked.
	Questions []Question `yaml:"questions"`
}

// Question is a part of the lattice with the outcome that is expected of every cell.
type Question struct {
	// Ask is the question in words, and Answer what a run shows.
	Ask    string `yaml:"ask"`
	Answer string `yaml:"answer"`
	// Policy file, when it is not the scenario's.
	Policy string `yaml:"policy"`

	Users       []string      `yaml:"users"`
	Devices     []DeviceState `yaml:"devices"`
	Credentials []Credential  `yaml:"credentials"`
	Modes       []Mode        `yaml:"modes"`
	Apps        []string      `yaml:"apps"`
	Clients     []string      `yaml:"clients"`

	Expect Expectation `yaml:"expect"`
}

// Expectation is what has to be so in every cell of a question. What is empty is not
// looked at.
type Expectation struct {
	Result  Result  `yaml:"result"`
	Desktop Desktop `yaml:"desktop"`
	// Asked is the whole ledger, in order; an empty list in the file says nothing was
	// asked.
	Asked *[]string `yaml:"asked"`
	// Never are methods that nobody may be asked for.
	Never []string `yaml:"never"`
	Code  int      `yaml:"code"`
	// RefusedBy is a policy among those that refused.
	RefusedBy string `yaml:"refused_by"`
}

// Lesson is a question with what a run answered.
type Lesson struct {
	Question Question
	Ran      []Ran
	// Wrong are the cells that ended otherwise than expected.
	Wrong []Ran
}

// ReadScenario reads an embedded scenario by its name, or a file.
func ReadScenario(name string) (*Scenario, error) {
	text, err := taught.ReadFile("scenarios/" + strings.TrimSuffix(name, ".yaml") + ".yaml")
	if err != nil {
		text, err = os.ReadFile(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("scenario %s: there is no file at that path, and no embedded scenario of that name", name)
	}
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	if len(text) > maxScenario {
		return nil, fmt.Errorf("scenario %s: longer than %d bytes", name, maxScenario)
	}
	var s Scenario
	if err := yaml.UnmarshalWithOptions(text, &s, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	if len(s.Questions) == 0 {
		return nil, fmt.Errorf("scenario %s: it asks no question", name)
	}
	for i, q := range s.Questions {
		if err := q.check(); err != nil {
			return nil, fmt.Errorf("scenario %s: questions[%d]: %w", name, i, err)
		}
	}
	return &s, nil
}

// check finds words that stand for nothing: they would ask about no cell, or expect
// nothing.
func (q Question) check() error {
	if q.Ask == "" {
		return errors.New("ask is missing")
	}
	e := q.Expect
	if e.Result == "" && e.Desktop == "" && e.Asked == nil && len(e.Never) == 0 && e.Code == 0 && e.RefusedBy == "" {
		return errors.New("expect is missing: say what has to be so")
	}
	return errors.Join(
		known("devices", q.Devices, DeviceStates()), known("credentials", q.Credentials, Credentials()), known("modes", q.Modes, Modes()),
		known("expect.result", []Result{e.Result}, []Result{"", Silent, Asked, Refused}),
		known("expect.desktop", []Desktop{e.Desktop}, []Desktop{"", Open, Shut, Own}),
	)
}

func known[T comparable](field string, given, all []T) error {
	for _, g := range given {
		if !slices.Contains(all, g) {
			return fmt.Errorf("%s: %v is none of %v", field, g, all)
		}
	}
	return nil
}

// Teach runs the questions of a scenario.
func (w *World) Teach(ctx context.Context, s *Scenario) ([]Lesson, error) {
	var all []Lesson
	for _, q := range s.Questions {
		cells, err := w.Cells(Narrow{Users: q.Users, Apps: q.Apps, Clients: q.Clients, Devices: q.Devices, Credentials: q.Credentials, Modes: q.Modes})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.Ask, err)
		}
		name := q.Policy
		if name == "" {
			name = s.Policy
		}
		policies, err := w.OwnPolicies()
		if name != "" {
			policies, err = PolicyFile(name)
		}
		if err != nil {
			return nil, err
		}
		ran, err := w.Under(ctx, policies, cells)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q.Ask, err)
		}
		l := Lesson{Question: q, Ran: ran}
		for _, r := range ran {
			if !q.Expect.met(r.Outcome) {
				l.Wrong = append(l.Wrong, r)
			}
		}
		all = append(all, l)
	}
	return all, nil
}

func (e Expectation) met(o Outcome) bool {
	switch {
	case e.Result != "" && e.Result != o.Result, e.Desktop != "" && e.Desktop != o.Desktop, e.Code != 0 && e.Code != o.Code:
		return false
	case e.Asked != nil && !slices.Equal(*e.Asked, o.Asked):
		return false
	case slices.ContainsFunc(e.Never, func(m string) bool { return slices.Contains(o.Asked, m) }):
		return false
	}
	return e.RefusedBy == "" || slices.Contains(o.RefusedBy, e.RefusedBy)
}
