package grpcfront

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/lockstep-sso/lockstep/pkg/fault"
	"github.com/lockstep-sso/lockstep/pkg/step"
	"github.com/lockstep-sso/lockstep/services/faulty/internal/contract"
)

// Can says why no call of this component can be broken by a rule; nil is that one can.
func (f *Front) Can(r fault.Rule) error {
	switch {
	case r.Action == fault.TPM:
		return fmt.Errorf("this stand-in is not before a TPM: %s", r)
	case r.Action == fault.OtherDevice && f.cfg.Other == nil:
		return fmt.Errorf("this stand-in knows no other device's %s: start it with --set other=ADDRESS", f.cfg.Component)
	}
	fit := f.fitting(r.When)
	for _, c := range r.When {
		if err := f.canHold(c, fit); err != nil {
			return err
		}
	}
	if len(fit) == 0 {
		return fmt.Errorf("no method of %s fits all of %s", f.cfg.Component, r)
	}
	if r.Action != fault.Corrupt {
		return nil
	}
	var first error
	for _, m := range fit {
		err := m.CanCorrupt(r.Request, r.Field)
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if len(fit) == 1 {
		return first
	}
	return fmt.Errorf("no method of %s that fits has a field %s there: name one with (method ...)", f.cfg.Component, r.Field)
}

// fitting are the methods that all conditions on method and step fit which stand alone.
func (f *Front) fitting(when []fault.Condition) (fit []contract.Method) {
	for _, m := range contract.Methods(f.cfg.Component) {
		if !slices.ContainsFunc(when, func(c fault.Condition) bool { return excludes(c, m) }) {
			fit = append(fit, m)
		}
	}
	return fit
}

// excludes says that a condition never holds for a method.
func excludes(c fault.Condition, m contract.Method) bool {
	switch c.Word {
	case fault.WordMethod:
		return !fault.MatchMethod(c.Text, m.Name)
	case fault.WordStep:
		return !slices.Contains(step.Realised(m.Name), c.Step)
	case fault.WordAnd:
		return slices.ContainsFunc(c.Of, func(c fault.Condition) bool { return excludes(c, m) })
	default:
		return false
	}
}

// canHold says why a condition, or one in it, can hold for no call here.
func (f *Front) canHold(c fault.Condition, fit []contract.Method) (err error) {
	c.Walk(func(c fault.Condition) {
		if err != nil {
			return
		}
		switch c.Word {
		case fault.WordMethod, fault.WordStep:
			if len(f.fitting([]fault.Condition{c})) == 0 {
				err = f.none(c)
			}
		case fault.WordPath:
			err = fmt.Errorf("this stand-in takes no HTTPS requests, so there is no %s: name a (method ...)", c)
		case fault.WordUser:
			err = f.nobodyNames(c, contract.User, fit)
		case fault.WordDevice:
			err = f.nobodyNames(c, contract.Device, fit)
		}
	})
	return err
}

func (f *Front) none(c fault.Condition) error {
	if c.Word == fault.WordStep {
		return fmt.Errorf("no call to %s carries out %s: name the component that is asked in that row", f.cfg.Component, c)
	}
	var services []string
	for _, m := range contract.Methods(f.cfg.Component) {
		service, _, _ := strings.Cut(strings.TrimPrefix(m.Name, "/"), "/")
		if service = service[strings.LastIndexByte(service, '.')+1:]; !slices.Contains(services, service) {
			services = append(services, service)
		}
	}
	return fmt.Errorf("%s serves nothing that fits %s: its services are %s", f.cfg.Component, c, strings.Join(services, ", "))
}

func (f *Front) nobodyNames(c fault.Condition, field protoreflect.Name, fit []contract.Method) error {
	if slices.ContainsFunc(fit, func(m contract.Method) bool { return m.CanName(field) }) {
		return nil
	}
	return fmt.Errorf("no request to %s that fits has a field %s, so %s never holds: use (method ...), (caller ...) or a count", f.cfg.Component, field, c)
}
