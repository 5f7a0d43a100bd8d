// A module of its own: it runs pkg/softtpm of this tree beside other TPMs, one
// of which needs a C compiler and OpenSSL's headers to build. Nothing of the
// product imports this module or is built by it.
module github.com/lockstep-sso/lockstep/tools/tpmdiff

go 1.26.0

require (
	github.com/google/go-tpm-tools v0.4.11
	github.com/lockstep-sso/lockstep v0.0.0
	golang.org/x/sys v0.49.0
)

require github.com/google/go-tpm v0.9.8 // indirect

replace github.com/lockstep-sso/lockstep => ../..
