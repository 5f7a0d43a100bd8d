package flows

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// replicas carries out what is done to the replicas of the identity provider.
func (r *Runner) replicas(ctx context.Context, command string, arg map[string]string) (string, bool) {
	if command != "replica" { // replica [kill=idp-1] [start=idp-1]
		return "", false
	}
	switch kill, start := arg["kill"], arg["start"]; {
	case kill != "" && start != "":
		return failure(errors.New("kill one replica, or start one")), true
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
		fmt.Fprintf(&b, "%s %s\n", key, state)
	}
	if b.Len() == 0 {
		return "there is one identity provider\n", true
	}
	return b.String(), true
}
