package checks

// Named is a check by its name and row.
type Named struct{ Check, Row string }

// OnClusterOnly are the groups of checks that a bare API server cannot make.
func OnClusterOnly() []Named {
	return []Named{
		{"everything becomes ready", "DEP01"},
		{"the four flows, and their traces in Jaeger", "OBS05 OBS10"},
		{"stand-ins: each component broken by rules", "FLT01"},
		{"network policies are enforced", "T5"},
		{"no shell, no privileged debugger", "T4"},
		{"etcd, specifications and logs without secrets", "T6"},
		{"two devices with pods of the same name are two devices", "T13"},
	}
}
