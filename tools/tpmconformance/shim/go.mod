module github.com/google/go-tpm-tools

go 1.26.0

require (
	github.com/google/go-tpm v0.9.8
	github.com/lockstep-sso/lockstep v0.0.0
)
