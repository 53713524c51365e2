# Copyright The Kube-Mesos Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help

BIN := bin
COMMANDS := kube-mesos-scheduler kube-mesos-up

# Our version, for example v0.1.0, v0.1.0-3-g1a2b3c4 or 1a2b3c4-dirty.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# The Kubernetes release that go.mod pins, for example v1.34.4.
KUBERNETES_VERSION := $(shell awk '$$1 == "k8s.io/kubernetes" && $$2 == "=>" { print $$4 }' go.mod)
KUBERNETES_MAJOR := $(word 1,$(subst ., ,$(KUBERNETES_VERSION:v%=%)))
KUBERNETES_MINOR := $(word 2,$(subst ., ,$(KUBERNETES_VERSION:v%=%)))

# Kubernetes components take their version, and from it the state of their
# feature gates, from these variables, so they must name a Kubernetes release.
# Ours follows as semantic versioning's build metadata, which does not count in
# comparisons.
VERSION_PACKAGE := k8s.io/component-base/version
LDFLAGS_COMMON := -X $(VERSION_PACKAGE).gitMajor=$(KUBERNETES_MAJOR) -X $(VERSION_PACKAGE).gitMinor=$(KUBERNETES_MINOR)
LDFLAGS_kube-mesos-scheduler := $(LDFLAGS_COMMON) \
	-X $(VERSION_PACKAGE).gitVersion=$(KUBERNETES_VERSION)+kube-mesos.$(VERSION) -X $(VERSION_PACKAGE).gitCommit=$(COMMIT)
# The local cluster's API server reports the plain release, as kubectl and others
# expect.
LDFLAGS_kube-mesos-up := $(LDFLAGS_COMMON) -X $(VERSION_PACKAGE).gitVersion=$(KUBERNETES_VERSION)

# Pinned in a module of its own. The go command compiles it once, in 1 to 3 minutes.
GOLANGCI_LINT := go tool -modfile=hack/tools/golangci/go.mod golangci-lint

##@ Use

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN { FS = ":.*## "; print "Usage: make TARGET" } \
		/^##@ / { print "\n" substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: $(addprefix $(BIN)/,$(COMMANDS)) ## Build the commands into bin/.

# The go command knows what is up to date.
.PHONY: FORCE
$(BIN)/%: FORCE
	go build -ldflags '$(LDFLAGS_$*)' -o $@ ./cmd/$*

.PHONY: up
up: build ## Start a local cluster with Kubernetes and Mesos; ctrl-C ends it.
	$(BIN)/kube-mesos-up

.PHONY: demo
demo: build ## Start a local cluster, run pods on it and end it.
	$(BIN)/kube-mesos-up --demo

##@ Develop

# The race detector needs a C compiler. Where there is none the tests run without
# it, and say so.
RACE ?= $(if $(shell command -v $$(go env CC) 2>/dev/null),-race)

# A deadlock must not hang a build server for ever: each package has 14 minutes. The
# integration tests wait more than they compute: four packages at a time.
.PHONY: test
test: ## Run all tests, with the race detector, in random order.
	@$(if $(RACE),,echo "No C compiler found: testing without the race detector.")
	go test $(RACE) -p 4 -shuffle=on -timeout 14m ./...
	$(if $(RACE),go test -count 1 -timeout 14m ./test/simulation ./test/crash)
	cd test/mesosmaster/clients && go test -timeout 10m ./...

# A day is a day of faults in virtual time; a seed that fails says how to see it again.
SEED ?= 1
.PHONY: soak
soak: ## Simulate a month of 100 machines and faults; takes some 20 minutes on 2 cores.
	go test ./test/simulation -count 1 -timeout 1h -v -run '^TestMonth$$' -soak -seed $(SEED)

.PHONY: mutations
mutations: ## Change the emulated master, behaviour by behaviour, and see that a recording notices.
	go run ./test/conformance/mutations

.PHONY: bench
bench: ## Run the benchmarks.
	go test -run '^$$' -bench . -benchmem $(BENCH_PACKAGES)

# Only packages with benchmarks: linking the tests of the others takes minutes.
BENCH_PACKAGES = $(shell grep -rl --include='*_test.go' '^func Benchmark' plugins test | xargs -r dirname | sort -u | sed 's,^,./,')

# Flags: -scale, -length, -seed, -runs, -variant, -raw FILE; see test/bench/neighbours/README.md.
NEIGHBOURS ?=
.PHONY: bench-neighbours
bench-neighbours: ## Measure what we cost other frameworks, in virtual time.
	go test ./test/bench/neighbours -count 1 -timeout 2h -v -run '^TestComparison$$' -compare $(NEIGHBOURS)

# Flags: -rounds, -nodes, -workloads, -variants, -keep DIR, -results FILE; see
# test/bench/scheduler/doc.go. Appends to test/bench/results/scheduler.txt.
SCHEDULER ?=
.PHONY: bench-scheduler
bench-scheduler: ## Compare with the stock scheduler in Kubernetes' own benchmark; takes hours.
	go test -tags bench ./test/bench/scheduler -count 1 -timeout 24h -v -run '^TestCompare$$' -compare -command 'make bench-scheduler SCHEDULER="$(SCHEDULER)"' $(SCHEDULER)

.PHONY: bench-offers
bench-offers: ## Measure pods per second on few agents, and the first pod from idle; takes minutes.
	go test -tags bench -run '^TestBench' -v -count=1 -timeout 30m ./test/integration/economy | grep -E '_test.go|^ *(---|ok|FAIL|PASS|panic)'

.PHONY: fmt
fmt: ## Format the Go code and order its imports.
	$(GOLANGCI_LINT) fmt

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: generate
generate: ## Write generated code.
	hack/update-codegen.sh

.PHONY: lint
lint: ## Run golangci-lint; the first time it is compiled, which takes minutes.
	$(GOLANGCI_LINT) run

.PHONY: verify
verify: ## Check format, headers, generated code, imports, licences and lint.
	@set -e; for script in hack/verify-*.sh; do echo "$$script"; "$$script"; done
	@$(MAKE) --no-print-directory lint

.PHONY: clean
clean: ## Remove what make built.
	rm -rf $(BIN)
