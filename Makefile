# Every target does the set-up that it needs; README.md shows the way.
ADDR ?= 127.0.0.1:8443
DATA ?= ./data

GO ?= go
BENCH ?=

.PHONY: all build windows web run test soak bench bpf docs lint fmt setup-build setup-test clean

all: build

## build: the three programs, with the console inside the server
build: setup-build web
	$(GO) build -o edr-agent ./cmd/agent
	$(GO) build -o edr-server ./cmd/server
	$(GO) build -o edrctl ./cmd/edrctl

## windows: edr-agent.exe and edrctl.exe, by mingw
windows:
	@./scripts/setup.sh windows
	./scripts/windows.sh vet

setup-build:
	@./scripts/setup.sh build

setup-test:
	@./scripts/setup.sh test

## web: the console, built into web/dist
web: web/dist/index.html

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json web/index.html web/vite.config.ts $(shell find web/src web/public -type f 2>/dev/null)
	cd web && npm run build

## run: a server on ADDR and an enrolled agent, state in DATA
run: build
	@ADDR=$(ADDR) DATA=$(DATA) ./scripts/run.sh

## demo: run, and play a dozen harmless acts that look like an attack
demo: build
	@ADDR=$(ADDR) DATA=$(DATA) ./scripts/demo.sh

## test: everything that this machine can run
test: setup-test build lint
	./scripts/test.sh

## soak: what takes longer than a test should
soak: setup-test
	./scripts/soak.sh

## bench: the figures, each against a peer or a floor in the same run
bench: setup-test
	$(GO) run -tags sqlite_vtable ./bench $(BENCH)

## bpf: compile the eBPF programs anew (clang, libbpf-dev)
bpf:
	@./scripts/setup.sh bpf
	./tables/bpf/build.sh

## docs: generate docs/tables.md and tables/schema.json from the declarations
docs:
	$(GO) run ./docs/gen

lint: web/node_modules/.package-lock.json
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt'ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	cd web && npm run lint

fmt:
	gofmt -w $$(git ls-files '*.go')

clean:
	rm -f edr-agent edr-server edrctl edr-agent.exe edrctl.exe
	rm -rf web/node_modules e2e/node_modules e2e/out
	find web/dist -mindepth 1 ! -name .gitkeep -delete
