// A module of its own, because it replaces go-tpm-tools: go-tpm's tests open
// their TPM through that module, and here they get pkg/softtpm. Nothing of the
// product imports this module or is built by it.
module github.com/lockstep-sso/lockstep/tools/tpmconformance

go 1.26.0

require (
	github.com/google/go-cmp v0.5.9
	github.com/google/go-tpm v0.9.8
)

require (
	github.com/google/go-tpm-tools v0.3.13-0.20230620182252-4639ecce2aba // indirect
	github.com/lockstep-sso/lockstep v0.0.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/google/go-tpm-tools => ./shim
	github.com/lockstep-sso/lockstep => ../..
)
