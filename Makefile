# Every step of development, of CI and of a release is a target here. `make help` lists them.
SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

IMG ?= ghcr.io/larder-dev/larder:latest
BASE_IMAGE ?= gcr.io/distroless/static:nonroot
BIN := $(CURDIR)/bin
TOOL := go tool -modfile=$(CURDIR)/hack/tools/go.mod
LINT := go tool -modfile=$(CURDIR)/hack/lint/go.mod golangci-lint
# Programs of modules of their own, for what they depend on.
PROGRAMS := hack/slowdisk test/node/record test/targets/terraform
# Without those of hack/karpenter: tidying would drop their only line, a module of which nothing but files is used.
MODULES := . hack/tools hack/lint hack/controlplane hack/csi hack/containerd/v1.7 hack/containerd/v2.1 hack/containerd/v2.2 hack/containerd/v2.3 hack/containerd/v2.4 $(PROGRAMS)

##@ General

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*##"} /^[a-zA-Z0-9_-]+:.*?##/ {printf "  \033[36m%-14s\033[0m %s\n", $$1, $$2} /^##@/ {printf "\n%s\n", substr($$0, 5)}' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: ## Run the main job on this machine, from images to a patched EC2NodeClass. KEEP=1 leaves it up.
	hack/demo.sh

.PHONY: demo-refresh
demo-refresh: ## Push images under the same tag, and see new revisions come and the oldest go. KEEP=1 leaves it up.
	hack/demo.sh -refresh

.PHONY: demo-karpenter
demo-karpenter: ## Bind a pool with nodes: preview, rollout, rollback, a GitOps rival, derive, deletion. KEEP=1 leaves it up.
	hack/demo.sh -karpenter

.PHONY: demo-targets
demo-targets: ## Bind a node group, launch templates, Batch, ECS and pod volumes: renewal, rollback, deletion. KEEP=1 leaves it up.
	hack/demo.sh -targets

##@ Develop

.PHONY: build
build: ## Build bin/larder.
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN)/larder ./cmd/larder

.PHONY: generate
generate: ## Write every generated file: deep copies, CRDs, roles, docs/verification.md.
	hack/generate.sh .

.PHONY: fmt
fmt: ## Format the Go code.
	$(LINT) fmt

##@ Check

.PHONY: verify
verify: ## Fail when a generated file or a go.mod is stale.
	hack/verify.sh $(MODULES)

.PHONY: lint
lint: ## Run the linters, among them the one that keeps imports pointing one way.
	$(LINT) run
	for module in $(PROGRAMS); do (cd $$module && $(LINT) run --config $(CURDIR)/.golangci.yml) || exit 1; done

.PHONY: test
test: ## Run the unit tests and those against a real API server and the AWS double.
	assets=$$(hack/envtest-assets.sh); \
	KUBEBUILDER_ASSETS=$$assets $(TOOL) gotestsum --format pkgname -- -race -shuffle=on -p 1 -timeout 20m ./...
	$(TOOL) gotestsum --format pkgname -- -count 1 -timeout 20m -run '^TestSimulation$$' ./controllers/binding
	$(TOOL) gotestsum --format pkgname -- -count 1 -timeout 20m -run 'EveryCrash' ./test/targets

.PHONY: test-node
test-node: ## Run real containerd and kubelet on built volumes. Needs root, e2fsprogs and runc.
	containerd=$$(hack/containerd-assets.sh); kubelet=$$(hack/kubelet-assets.sh); \
	CONTAINERD_ASSETS=$$containerd KUBELET_ASSETS=$$kubelet $(TOOL) gotestsum --format testname -- -tags node -count 1 -p 1 -timeout 20m ./test/node/...

.PHONY: test-grow
test-grow: ## Let a Debian kernel grow built volumes while mounted. Needs apt, qemu-system-x86, systemd and e2fsprogs.
	kernel=$$(hack/kernel-assets.sh); \
	GUEST_KERNEL=$$kernel $(TOOL) gotestsum --format standard-verbose -- -tags grow -count 1 -timeout 20m ./test/grow/...

FUZZTIME ?= 60s
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME each, 60s by default. Needs e2fsprogs.
	hack/fuzz.sh $(FUZZTIME)

HISTORIES ?= 200
.PHONY: test-histories
test-histories: ## Take volumes through HISTORIES random histories of rebuilds, 200 by default, and snapshots through those of their life.
	go test -count 1 -timeout 60m ./test/simulation -histories $(HISTORIES)
	go test -count 1 -run '^TestSimulation$$' ./controllers/...

.PHONY: test-node-large
test-node-large: ## Compare volumes of a million files and of files above 4 GiB. As test-node, with 16 GB of memory.
	containerd=$$(hack/containerd-assets.sh); kubelet=$$(hack/kubelet-assets.sh); \
	CONTAINERD_ASSETS=$$containerd KUBELET_ASSETS=$$kubelet $(TOOL) gotestsum --format testname -- -tags node,large -run Large -count 1 -p 1 -timeout 30m ./test/node/...

.PHONY: test-defects
test-defects: ## Plant defects in a copy of the source and see the tests catch them.
	KUBEBUILDER_ASSETS=$$(hack/envtest-assets.sh) hack/plant-defects.sh

##@ Measure

.PHONY: bench-programs
bench-programs:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN)/bench/ ./cmd/larder ./test/fakeaws/cmd/fakeaws ./test/bench/cmd/...

.PHONY: bench-build
bench-build: bench-programs ## Measure a build beside containerd's pull of the same images. Needs what test-node needs. BENCH_MB=1000 BENCH_RUNS=5.
	containerd=$$(hack/containerd-assets.sh); kubelet=$$(hack/kubelet-assets.sh); \
	go test -tags node -c -o $(BIN)/bench/build.test ./test/bench/pull; \
	CONTAINERD_ASSETS=$$containerd KUBELET_ASSETS=$$kubelet $(BIN)/bench/build.test -test.v -test.timeout 2h

.PHONY: bench-node
bench-node: bench-programs ## Measure from a pod's manifest to its start, pulled and from a volume. As test-node. BENCH_MB="100 1000 4000" BENCH_RUNS=3.
	containerd=$$(hack/containerd-assets.sh); kubelet=$$(hack/kubelet-assets.sh); \
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o $(BIN)/bench/ ./test/node/probe; \
	go test -tags node -c -o $(BIN)/bench/node.test ./test/bench/node; \
	CONTAINERD_ASSETS=$$containerd KUBELET_ASSETS=$$kubelet $(BIN)/bench/node.test -test.v -test.timeout 4h

.PHONY: bench-rebuild
bench-rebuild: bench-programs ## Measure what a changed set of images costs upon its last snapshot. BENCH_MB=2000.
	$(BIN)/bench/rebuild

COLD_LAYERS ?= 60
COLD_FILES ?= 12000
COLD_MB ?= 300
COLD_LATENCY ?= 20ms

.PHONY: bench-cold
bench-cold: ## Start a container from a volume whose blocks are slow at first touch. Needs what test-node needs, and FUSE.
	containerd=$$(hack/containerd-assets.sh); kubelet=$$(hack/kubelet-assets.sh); \
	export CGO_ENABLED=0; \
	go build -trimpath -o $(BIN)/cold/ ./cmd/larder ./test/bench/cold/app; \
	for module in $(PROGRAMS); do (cd $$module && GOWORK=off go build -trimpath -o $(BIN)/cold/ .); done; \
	go test -tags node -c -o $(BIN)/cold/bench ./test/bench/cold; \
	CONTAINERD_ASSETS=$$containerd KUBELET_ASSETS=$$kubelet $(BIN)/cold/bench -test.timeout 2h -bin $(BIN)/cold \
	  -layers $(COLD_LAYERS) -files $(COLD_FILES) -mb $(COLD_MB) -latency $(COLD_LATENCY)

##@ Release

.PHONY: docker-build
docker-build: ## Build the container image, with BASE_IMAGE below the binary.
	docker build --build-arg BASE_IMAGE=$(BASE_IMAGE) -t $(IMG) .

.PHONY: install-manifest
install-manifest: ## Print what `kubectl apply -k config/default` installs.
	@$(TOOL) kustomize build config/default
