package flows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// othersWithin is how long a replica that is a process of its own may take to tell of its
// part of a trace.
const othersWithin = 3 * time.Second

// awaitOthers waits for the spans of replicas of another version, where there are some.
func (r *Runner) awaitOthers(ctx context.Context, id trace.TraceID) {
	if !slices.ContainsFunc(r.lab.ReplicaKeys(), r.lab.IsOther) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, othersWithin)
	defer cancel()
	r.lab.Recorder().AwaitAnswerers(ctx, id)
}

// replicas carries out what is done to the replicas of the identity provider.
func (r *Runner) replicas(ctx context.Context, command string, arg map[string]string) (string, bool) {
	if command != "replica" { // replica [kill=idp-1] [start=idp-1] [exchange=idp-1 [version=other]]
		return "", false
	}
	switch kill, start, exchange := arg["kill"], arg["start"], arg["exchange"]; {
	case kill != "" && start != "", (kill != "" || start != "") && exchange != "":
		return failure(errors.New("kill one replica, start one, or exchange one")), true
	case arg["version"] != "" && (exchange == "" || arg["version"] != "other"):
		return failure(errors.New("use replica exchange=idp-1, or with version=other")), true
	case exchange != "":
		return outcome(exchange+" was exchanged", r.lab.ExchangeReplica(context.WithoutCancel(ctx), exchange, arg["version"] == "other")), true
	case kill != "":
		return outcome(kill+" is killed", r.lab.KillReplica(kill)), true
	case start != "":
		// What starts stays longer than the command.
		return outcome(start+" runs again", r.lab.StartReplica(context.WithoutCancel(ctx), start)), true
	}
	var b strings.Builder
	for _, key := range r.lab.ReplicaKeys() {
		state := "is dead"
		if r.lab.ReplicaRuns(key) {
			state = "runs"
		}
		if r.lab.IsOther(key) {
			state += ", another version"
		}
		fmt.Fprintf(&b, "%s %s\n", key, state)
	}
	if b.Len() == 0 {
		return "there is one identity provider\n", true
	}
	return b.String(), true
}
