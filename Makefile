SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

GO ?= go
BIN := $(CURDIR)/bin
PINS := GOWORK=off $(GO) -C tools/pins build -o $(BIN)/
# The contracts are compared with those of the commit before.
BEFORE = $(shell git rev-parse -q --verify HEAD~1 || git rev-parse HEAD)
FUZZTIME ?= 20s
BENCHTIME ?= 200x

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

.PHONY: demo
demo: ## Run the four documented flows and show every step
	@$(GO) run ./tools/lockstep demo

.PHONY: test
test: ## Run all tests
	$(GO) test -timeout 20m ./...

.PHONY: race
race: ## Run all tests under the race detector (needs a C compiler)
	$(GO) test -race ./...

.PHONY: build
build: ## Build the lockstep binary into bin/
	$(GO) build -o $(BIN)/lockstep ./tools/lockstep

.PHONY: verify
verify: format proto vet ## Check what is generated, formatted and written down
	@git diff --exit-code --stat -- proto/gen || { echo "proto/gen is not what the contracts generate: commit the difference"; exit 1; }
	@test -z "$$(git status --porcelain -- proto/gen)" || { echo "proto/gen has files that are not committed"; exit 1; }
	$(GO) test ./tools/archtest

.PHONY: format
format: ## Fail when a file is not formatted
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "run gofmt -w on:"; echo "$$bad"; exit 1; }

.PHONY: vet
vet: ## Run go vet
	$(GO) vet ./...

.PHONY: proto
proto: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## Lint the contracts, compare them with the commit before, generate code
	$(BIN)/buf format --diff --exit-code proto
	$(BIN)/buf lint
	@git cat-file -e $(BEFORE):buf.yaml 2>/dev/null && $(BIN)/buf breaking --against '.git#ref=$(BEFORE)' || test -z "$$(git ls-tree $(BEFORE) buf.yaml)"
	$(BIN)/buf generate

.PHONY: lint
lint: $(BIN)/golangci-lint ## Run the linters of .golangci.yml
	$(BIN)/golangci-lint run ./...
	for m in browsertest cluster conformance identity images manifests tpmconformance tpmdiff window; do (cd tools/$$m && GOWORK=off $(BIN)/golangci-lint run ./...); done

.PHONY: bench
bench: ## Compare the flows and the TPM operations with their floors
	$(GO) test -run '^$$' -bench . -benchtime $(BENCHTIME) ./services/... ./pkg/... ./tools/lockstep/...

.PHONY: fuzz
fuzz: ## Fuzz every parser of outside bytes for FUZZTIME each
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | while IFS=: read -r file func; do \
		echo "$$func in $$(dirname $$file)"; \
		$(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) "./$$(dirname $$file)"; \
	done

.PHONY: tpm-faults
tpm-faults: ## Make every TPM fault on both emulators (needs swtpm)
	LOCKSTEP_NEED_SWTPM=1 $(GO) test -count=1 -run 'FLT04|PRO07|REG03|REG04|SWTPM|Session' ./pkg/tpmfault ./services/tpm-agent/...

.PHONY: tpm-canary
tpm-canary: ## Search all processes, logs and cores for the keys of 1,000 sign-ins
	LOCKSTEP_CANARY_PEOPLE=$${PEOPLE:-1000} $(GO) test -run A10 -count 1 -timeout 60m -v ./tools/lockstep/internal/canary

.PHONY: conformance
conformance: build ## Run third-party clients against lockstep serve (needs python3 and node)
	@GOWORK=off $(GO) -C tools/conformance vet ./... && GOWORK=off $(GO) -C tools/conformance test ./...
	@GOWORK=off $(GO) -C tools/conformance run . -root $(CURDIR) -only "$(ONLY)" -with "$(WITH)"

.PHONY: window
window: ## Build the browser program of lockstep window into bin/
	@GOWORK=off $(GO) -C tools/window vet ./... && GOWORK=off $(GO) -C tools/window test ./...
	GOWORK=off $(GO) -C tools/window build -o $(BIN)/lockstep-window .

.PHONY: browser-test
browser-test: build ## Drive every page in Chromium (needs chromium and npm)
	@GOWORK=off $(GO) -C tools/browsertest vet ./...
	@BROWSER=$(BROWSER) GOWORK=off $(GO) -C tools/browsertest test -count=1 -parallel 4 -timeout 10m

.PHONY: tpm-tools
tpm-tools: ## Let tpm2-tools use the emulated TPM (needs tpm2-tools, swtpm, openssl, xxd)
	@$(GO) test -c -o $(BIN)/softtpm.test ./tools/softtpm
	@cd tools/softtpm && SOFTTPM_TPM2_TOOLS=required $(BIN)/softtpm.test -test.run '^TestTPM2Tools$$' -test.timeout 20m

.PHONY: tpm-conformance
tpm-conformance: ## Run go-tpm's own TPM tests against pkg/softtpm
	@GOWORK=off $(GO) -C tools/tpmconformance test ./... && GOWORK=off $(GO) -C tools/tpmconformance run .

.PHONY: tpm-diff
tpm-diff: ## Compare the emulated TPM with two others (needs swtpm, a C compiler, OpenSSL)
	@GOWORK=off $(GO) -C tools/tpmdiff vet ./... && GOWORK=off $(GO) -C tools/tpmdiff test ./...
	@GOWORK=off CGO_ENABLED=1 $(GO) -C tools/tpmdiff build -tags mssim -o $(BIN)/tpmdiff .
	@failed=0; for r in mssim swtpm; do $(BIN)/tpmdiff -reference $$r -full || failed=1; done; exit $$failed

.PHONY: jaeger
jaeger: $(BIN)/jaeger ## Build Jaeger, without its pages, into bin/ (takes long)

.PHONY: trace-check
trace-check: $(or $(JAEGER),$(BIN)/jaeger) ## Hold the traces that Jaeger has of the demo to the golden ladders
	JAEGER=$< LOCKSTEP_NEED_JAEGER=1 $(GO) test -count=1 -run 'OBS05|OBS10|Golden' ./tools/ladder/... ./tools/lockstep/...

CLUSTER = GOWORK=off $(GO) -C tools/cluster build -o $(BIN)/cluster . && $(BIN)/cluster --root $(CURDIR)

.PHONY: kind-up
kind-up: ## Make a cluster of kind with everything in it (needs docker, kind, kubectl)
	@$(CLUSTER) up

.PHONY: kind-demo
kind-demo: ## Play the four flows in the cluster, ladders read back from Jaeger
	@$(CLUSTER) demo

.PHONY: kind-play
kind-play: ## Have people act in the cluster: PLAY='join user=alice; sign-in user=alice'
	@$(CLUSTER) play --commands "$$PLAY"

.PHONY: kind-trace
kind-trace: ## Show the newest trace of a flow in the cluster: FLOW=first_sign_in
	@$(CLUSTER) trace --flow "$$FLOW"

.PHONY: kind-fault
kind-fault: ## Break a component in the cluster: C=tpm-agent RULES='(delay 200ms)'
	@$(CLUSTER) fault --component "$$C" --rules "$$RULES"

.PHONY: kind-heal
kind-heal: ## Put a component in the cluster right again: C=tpm-agent
	@$(CLUSTER) heal --component "$$C"

.PHONY: kind-down
kind-down: ## Remove the cluster
	@$(CLUSTER) down

.PHONY: cluster-test
cluster-test: ## Judge the system in kind; without docker the manifests alone
	@$(CLUSTER) test $(CLUSTER_TEST)

.PHONY: verify-netpol
verify-netpol: ## Try every connection in the running cluster (needs kubectl; OVERLAY=demo)
	@GOWORK=off $(GO) -C tools/manifests run . netpol --overlay "$${OVERLAY:-demo}" --context "kind-$${KIND_CLUSTER:-lockstep}" --run "$$(echo $$KIND_RUN | tr ' ' ',')"

.PHONY: manifests
manifests: ## Judge what is in deploy/, without a cluster
	@GOWORK=off $(GO) -C tools/manifests vet ./... && GOWORK=off $(GO) -C tools/manifests test ./...
	@GOWORK=off $(GO) -C tools/manifests run . check

.PHONY: identity-test
identity-test: ## Test the signer of identities
	@GOWORK=off $(GO) -C tools/identity vet ./... && GOWORK=off $(GO) -C tools/identity test ./...

.PHONY: cluster-tool-test
cluster-tool-test: ## Test the program of the kind targets (needs no cluster)
	@GOWORK=off $(GO) -C tools/cluster vet ./... && GOWORK=off $(GO) -C tools/cluster test ./...

IMAGES_TOOL := $(BIN)/lockstep-images
# The key that signs images; one that is not there is made, for this checkout alone.
IMAGE_KEY ?= $(BIN)/images/signing.key
# Some images only, as "idp adfs"; none is all.
IMAGE ?=

.PHONY: images-tool
images-tool:
	@GOWORK=off $(GO) -C tools/images build -o $(IMAGES_TOOL) .

.PHONY: images
images: images-tool ## Build the images with Docker, tagged dev (IMAGE="idp adfs" for some)
	$(IMAGES_TOOL) docker --out $(BIN)/images/docker $(IMAGE)

.PHONY: image-archives
image-archives: images-tool ## Build the images without Docker, listed and signed, into bin/images/
	$(IMAGES_TOOL) archives --out $(BIN)/images $(IMAGE)
	$(IMAGES_TOOL) sign --out $(BIN)/images --key $(IMAGE_KEY)
	$(IMAGES_TOOL) verify --out $(BIN)/images --key $(IMAGE_KEY).pub

.PHONY: images-test
images-test: ## Test how images are made
	@GOWORK=off $(GO) -C tools/images vet ./... && GOWORK=off $(GO) -C tools/images test -timeout 30m ./...

.PHONY: reproducible
reproducible: ## Build all images in two places and compare their digests
	LOCKSTEP_IMAGES="$(or $(IMAGE),all)" GOWORK=off $(GO) -C tools/images test -count=1 -timeout 100m -v -run T15 .

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN)

$(BIN)/buf: tools/pins/go.mod
	$(PINS) github.com/bufbuild/buf/cmd/buf
$(BIN)/protoc-gen-go: tools/pins/go.mod
	$(PINS) google.golang.org/protobuf/cmd/protoc-gen-go
$(BIN)/protoc-gen-go-grpc: tools/pins/go.mod
	$(PINS) google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(BIN)/golangci-lint: tools/pins/lint/go.mod
	GOWORK=off $(GO) -C tools/pins/lint build -o $(BIN)/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(BIN)/jaeger: tools/jaeger/go.mod
	GOWORK=off CGO_ENABLED=0 $(GO) -C tools/jaeger build -ldflags '-s -w' -o $(BIN)/ github.com/jaegertracing/jaeger/cmd/jaeger
