package archtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-sso/lockstep/pkg/rpc"
	"github.com/lockstep-sso/lockstep/pkg/run"
	"github.com/lockstep-sso/lockstep/services/adfs"
	"github.com/lockstep-sso/lockstep/services/browsercore"
	"github.com/lockstep-sso/lockstep/services/dsreg"
	"github.com/lockstep-sso/lockstep/services/faulty"
	"github.com/lockstep-sso/lockstep/services/idp"
	lsacloudap "github.com/lockstep-sso/lockstep/services/lsa-cloudap"
	"github.com/lockstep-sso/lockstep/services/telemetry"
	tpmagent "github.com/lockstep-sso/lockstep/services/tpm-agent"
	wambroker "github.com/lockstep-sso/lockstep/services/wam-broker"
)

// components are all names that a certificate may carry.
func components() []string {
	return []string{
		"logonui", "app", "window", "browser", "browsercore", "wam-broker", "lsa-cloudap",
		"dsreg", "tpm-agent", "idp", "adfs", "operator", "settings",
		"lab", "observer",
	}
}

// standIn is the door of a stand-in. No certificate carries the name: a stand-in has the
// identity of the component in whose place it is.
const standIn = faulty.Name

// doors are the allow-lists by the component that serves them. A plug-in stands
// behind a door of its own, on the component's own network.
func doors() map[string][]rpc.AllowList {
	return map[string][]rpc.AllowList{
		// The spool beside the tpm-agent has its identity.
		"tpm-agent":   {tpmagent.Allow(), run.LabAllow(), telemetry.Allow()},
		"dsreg":       {dsreg.Allow(), run.LabAllow()},
		"lsa-cloudap": {lsacloudap.Allow(), lsacloudap.PluginAllow(), run.LabAllow()},
		"wam-broker":  {wambroker.Allow(), wambroker.PluginAllow(), run.LabAllow()},
		"idp":         {idp.Allow(), idp.FrontAllow(), run.LabAllow()},
		"adfs":        {adfs.Allow(), run.LabAllow()},
		"browsercore": {browsercore.Allow()},
		"lab":         {run.WholeLabAllow()},
		standIn:       {faulty.Allow()},
	}
}

// badLists compares allow-lists with the contracts, in both directions.
func badLists(doors map[string][]rpc.AllowList, rpcs []string, names []string) (bad []string) {
	listed := map[string]bool{}
	for server, lists := range doors {
		if !slices.Contains(names, server) {
			bad = append(bad, server+" is no component")
		}
		for _, list := range lists {
			for method, callers := range list {
				listed[method] = true
				if !slices.Contains(rpcs, method) {
					bad = append(bad, fmt.Sprintf("%s lists %s, which is in no contract", server, method))
				}
				if len(callers) == 0 {
					bad = append(bad, fmt.Sprintf("%s lists %s for nobody", server, method))
				}
				for i, c := range callers {
					if !slices.Contains(names, c) {
						bad = append(bad, fmt.Sprintf("%s lets %q call %s: no component has that name", server, c, method))
					}
					if slices.Contains(callers[:i], c) {
						bad = append(bad, fmt.Sprintf("%s names %s twice for %s", server, c, method))
					}
				}
			}
		}
	}
	for _, m := range rpcs {
		if !listed[m] {
			bad = append(bad, m+" is on no allow-list: nobody can call it")
		}
	}
	slices.Sort(bad)
	return bad
}

func TestAllowLists(t *testing.T) {
	for _, line := range badLists(doors(), slices.Collect(maps.Keys(methods())), append(components(), standIn)) {
		t.Error(line)
	}
	if n := len(components()); n != 15 {
		t.Errorf("%d components, the documents name 13; the laboratory and the observer", n)
	}
	got := badLists(map[string][]rpc.AllowList{
		"idp":  {{"/S/A": {"app", "nobody", "app"}, "/S/B": nil}},
		"door": {{"/S/X": {"app"}}},
	}, []string{"/S/A", "/S/B", "/S/C"}, components())
	want := []string{
		`idp lets "nobody" call /S/A: no component has that name`,
		"idp names app twice for /S/A",
		"idp lists /S/B for nobody",
		"door is no component",
		"door lists /S/X, which is in no contract",
		"/S/C is on no allow-list: nobody can call it",
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

// call is an edge of the call graph.
type call struct{ from, to string }

// callGraph is who calls whom and what for. It is drawn here and not only
// derived, so that a new edge is a decision somebody makes and reviews.
func callGraph() map[call]string {
	return map[call]string{
		{"logonui", "lsa-cloudap"}:     "hands over the credentials of the user",
		{"app", "wam-broker"}:          "asks for access tokens",
		{"window", "wam-broker"}:       "fetches the sign-in pages that the broker wants shown, and says where they ended",
		{"browsercore", "lsa-cloudap"}: "asks the authority of the PRT for a cookie",
		{"browser", "idp"}:             "visits the sign-in page",
		{"browser", "browsercore"}:     "in a deployment, where it cannot start its native host: has a message answered",
		{"wam-broker", "lsa-cloudap"}:  "has requests signed and answers opened, hands down a new PRT",
		{"wam-broker", "dsreg"}:        "asks what the device is; registers it when the user of a work account consents, leaves with the last account",
		{"wam-broker", "idp"}:          "gets nonces, redeems refresh tokens and the PRT; on a registered device obtains and renews it",
		{"wam-broker", "tpm-agent"}:    "on a registered device alone, where it is the authority of the PRT: signs, imports and opens",
		{"lsa-cloudap", "tpm-agent"}:   "signs, imports and opens: keys stay there",
		{"lsa-cloudap", "dsreg"}:       "asks whether the device is joined, and to whom; starts the recovery of lost keys",
		{"lsa-cloudap", "idp"}:         "obtains and renews the PRT",
		{"lsa-cloudap", "adfs"}:        "gets the SAML token of a federated user",
		{"dsreg", "tpm-agent"}:         "makes the device's keys",
		{"dsreg", "idp"}:               "registers the device",
		{"observer", "tpm-agent"}:      "fetches its traces and metrics from the spool beside it, which opens no connection",
		{"operator", "tpm-agent"}:      "reads what backs the keys",
		{"operator", "dsreg"}:          "joins, registers, recovers, migrates and leaves, reads the state",
		{"operator", "lsa-cloudap"}:    "reads the state of single sign-on, moves the clock of a lab",
		{"operator", "wam-broker"}:     "reads the state of work accounts and the events, moves the clock of a lab",
		{"settings", "wam-broker"}:     "connects and disconnects work accounts, chooses the default one",
		{"operator", "idp"}:            "administers the directory, moves the clock of a lab",
		{"operator", "lab"}:            "moves the clocks of a whole lab, has persons act in it, reads traces",
		{"operator", "adfs"}:           "moves the clock of a lab",
		{"idp", "adfs"}:                "fetches the token-signing certificate of the federated domain",
		{"operator", standIn}:          "says in a lab which calls break",
		{"lsa-cloudap", "lsa-cloudap"}: "the CloudAP framework dials its plug-in",
		{"wam-broker", "wam-broker"}:   "the WAM framework dials its plug-in",
		{"idp", "idp"}:                 "the HTTPS front dials the contracts behind it",
	}
}

// edges are the calls that the allow-lists permit, each with its methods.
func edges(doors map[string][]rpc.AllowList) map[call][]string {
	all := map[call][]string{}
	for server, lists := range doors {
		for _, list := range lists {
			for method, callers := range list {
				for _, c := range callers {
					all[call{c, server}] = append(all[call{c, server}], method)
				}
			}
		}
	}
	return all
}

func TestCallGraph(t *testing.T) {
	allowed := edges(doors())
	for e, list := range allowed {
		if callGraph()[e] == "" {
			slices.Sort(list)
			t.Errorf("a new edge, %s -> %s, by %s: if it is meant, add it to callGraph with what it is for", e.from, e.to, strings.Join(list, ", "))
		}
	}
	for e := range callGraph() {
		if len(allowed[e]) == 0 {
			t.Errorf("%s -> %s is drawn and no allow-list has it: take it out of callGraph", e.from, e.to)
		}
	}
	// Plug-ins are called by their own framework, and what the front calls by the
	// front: by nobody else.
	for server, lists := range map[string]rpc.AllowList{
		"lsa-cloudap": lsacloudap.PluginAllow(), "wam-broker": wambroker.PluginAllow(), "idp": idp.FrontAllow(),
	} {
		for method, callers := range lists {
			if !slices.Equal(callers, []string{server}) {
				t.Errorf("%s of the plug-in is open to %q: only its framework in %s calls it", method, callers, server)
			}
		}
	}
}

// ring is a way from a component back to itself, or nil. A component that calls
// itself is a framework with its plug-in, and no ring.
func ring(graph map[call][]string) []string {
	next := map[string][]string{}
	for e := range graph {
		if e.from != e.to {
			next[e.from] = append(next[e.from], e.to)
		}
	}
	for _, start := range slices.Sorted(maps.Keys(next)) {
		if way := reach(next, start, start); way != nil {
			return way
		}
	}
	return nil
}

// Two components that call each other can neither be started nor understood one
// at a time, and one that waits for the other can wait for itself.
func TestNoRing(t *testing.T) {
	if way := ring(edges(doors())); way != nil {
		t.Errorf("components call each other in a ring: %s", strings.Join(way, " -> "))
	}
	if way := ring(map[call][]string{{"a", "b"}: nil, {"b", "c"}: nil, {"c", "a"}: nil}); !slices.Equal(way, []string{"a", "b", "c", "a"}) {
		t.Errorf("ring found %q", way)
	}
	if way := ring(map[call][]string{{"a", "b"}: nil, {"a", "c"}: nil, {"b", "c"}: nil, {"b", "b"}: nil}); way != nil {
		t.Errorf("ring found %q where there is none", way)
	}
}
