package whatif

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Narrow says which part of the lattice is meant. An empty list is everything there
// is; names may hold * as in file names.
type Narrow struct {
	// Users by user principal name or the part before the @.
	Users []string
	// Apps by the name or address of the resource.
	Apps []string
	// Clients by name or id; empty is one app and one web application, All is every
	// client of the tenant.
	Clients     []string
	Devices     []DeviceState
	Credentials []Credential
	Modes       []Mode
}

// All stands for every client in Narrow.
const All = "all"

// matches compares without regard for case.
func matches(patterns []string, names ...string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		for _, n := range names {
			if ok, err := path.Match(strings.ToLower(p), strings.ToLower(n)); err == nil && ok || strings.EqualFold(p, n) {
				return true
			}
		}
	}
	return false
}

// known refuses a pattern that names nothing, and says what there is.
func (w *World) known(n Narrow) error {
	var users, resources, clients []string
	for _, p := range w.people {
		users = append(users, p.local())
	}
	for _, a := range w.apps {
		resources, clients = append(resources, a.ResourceName), append(clients, a.ClientName)
	}
	for _, p := range n.Users {
		if !slices.ContainsFunc(w.people, func(o *person) bool { return matches([]string{p}, o.name(), o.local()) }) {
			return nobody("--users", p, users)
		}
	}
	for _, p := range n.Apps {
		if !slices.ContainsFunc(w.apps, func(a App) bool { return matches([]string{p}, a.Resource, a.ResourceName) }) {
			return nobody("--apps", p, resources)
		}
	}
	for _, p := range n.Clients {
		if p != All && !slices.ContainsFunc(w.apps, func(a App) bool { return matches([]string{p}, a.Client, a.ClientName) }) {
			return nobody("--clients", p, clients)
		}
	}
	return nil
}

func nobody(flag, pattern string, there []string) error {
	slices.Sort(there)
	return fmt.Errorf("%s: nothing is called %q: there are %s", flag, pattern, strings.Join(slices.Compact(there), ", "))
}

func among[T comparable](list []T, one T) bool { return len(list) == 0 || slices.Contains(list, one) }

// Cells lists the lattice: users by device states by the credentials that the user
// has there, by modes, by applications. It is in the order of the tenant file.
func (w *World) Cells(n Narrow) ([]Cell, error) {
	if err := w.known(n); err != nil {
		return nil, err
	}
	var all []Cell
	apps := w.chosenApps(n)
	for _, p := range w.people {
		if !matches(n.Users, p.name(), p.local()) {
			continue
		}
		for _, d := range DeviceStates() {
			if !among(n.Devices, d) {
				continue
			}
			for _, c := range Credentials() {
				if !among(n.Credentials, c) || !p.may(c, d) {
					continue
				}
				for _, m := range Modes() {
					if among(n.Modes, m) {
						all = append(all, w.cellsOf(p, d, c, m, apps)...)
					}
				}
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("nothing is left of the lattice: widen --users, --devices, --credentials, --modes or --apps")
	}
	return all, nil
}

func (w *World) cellsOf(p *person, d DeviceState, c Credential, m Mode, apps []App) []Cell {
	var out []Cell
	for _, a := range apps {
		if a.Native != (m == Native) {
			continue
		}
		out = append(out, Cell{
			User: p.name(), Device: d, Credential: c, Mode: m, Client: a.Client, Resource: a.Resource,
			Platform: w.cfg.Platform, From: w.cfg.From, app: a,
		})
	}
	return out
}

// usualApp is the app that stands for all when nobody chose: Microsoft Office.
const usualApp = "d3590ed6-52b3-4102-aeff-aad2292ab01c"

// chosenApps are the clients that are meant, each with the resources that are.
func (w *World) chosenApps(n Narrow) []App {
	all := slices.Contains(n.Clients, All)
	web := ""
	if len(n.Clients) == 0 {
		if i := slices.IndexFunc(w.apps, func(a App) bool { return !a.Native }); i >= 0 {
			web = w.apps[i].Client
		}
	}
	var out []App
	for _, a := range w.apps {
		if !matches(n.Apps, a.Resource, a.ResourceName) {
			continue
		}
		usual := len(n.Clients) == 0 && (a.Client == usualApp || a.Client == web)
		if all || usual || len(n.Clients) > 0 && matches(n.Clients, a.Client, a.ClientName) {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b App) int { return cmp.Compare(a.ResourceName, b.ResourceName) })
	return out
}

// joiner is somebody who may join devices.
func (w *World) joiner() (*person, error) {
	for _, p := range w.people {
		if p.user.GetMayJoin() && !p.password.Empty() {
			return p, nil
		}
	}
	return nil, errors.New("the tenant has nobody who may join devices with a password")
}
