# socks5d: `make` or `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run build test check-fast test-asan test-tsan soak lint format fuzz bench bench-plots bench-growth bench-names bench-policy bench-micro dist dist-reproducible dist-gssapi image-check deb deploy-check schema release-baseline messages docs clean

## What the program has beside the default.
TRAITS := --traits TLS
## Passed to socks5d by `make run`, as ARGS='--listen 127.0.0.1:1081'.
ARGS ?=
## Names of tests, for `make test`, as FILTER='RelayTests|PipeTests': at least one must match.
FILTER ?=
## Passed to the benchmark by `make bench`, as BENCH='--seconds 1 --rounds 1'.
BENCH ?=
## Workers of the servers in `make bench-growth`.
WORKERS ?= 1
## Seconds for each target of `make fuzz`.
FUZZ_SECONDS ?= 60
## Seconds of `make soak`.
SOAK_SECONDS ?= 1200

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and testing need (or name it, when not permitted).
	@scripts/setup build test

run: ## Build release and serve on 127.0.0.1:1080, with state and control on 127.0.0.1:9080.
	@scripts/setup build
	swift build -c release $(TRAITS) --product socks5d
	SOCKS5D_ADMIN="$${SOCKS5D_ADMIN:-127.0.0.1:9080}" \
	  exec "$$(swift build -c release --show-bin-path)/socks5d" $(ARGS)

build: ## Build release; warnings are errors.
	@scripts/setup build $(if $(findstring GSSAPI,$(TRAITS)),gssapi)
	swift build -c release $(TRAITS) -Xswiftc -warnings-as-errors

test: ## Run every test: unit, loop, server, command line, real clients; or those that match FILTER.
	@scripts/setup build test
	scripts/test $(if $(FILTER),only '$(FILTER)')

test-asan: ## Run the tests under AddressSanitizer, without the 1 GiB and client tests.
	@scripts/setup build test
	scripts/test address

test-tsan: ## Run the tests under ThreadSanitizer, without the 1 GiB and client tests.
	@scripts/setup build test
	scripts/test thread

check-fast: ## Lint, and the tests that need no socket: a minute at most, once the tests are built.
	@scripts/setup build gssapi lint
	scripts/lint
	scripts/test fast

soak: ## Load a release build for SOAK_SECONDS, with faults and reloads: nothing lost, memory flat.
	@scripts/setup build soak
	swift build -c release $(TRAITS) --product socks5d
	exec python3 -B Tests/Soak/soak.py "$$(swift build -c release --show-bin-path)/socks5d" --seconds $(SOAK_SECONDS)

lint: ## Check format, layering, house rules, shell scripts, links and spelling.
	@scripts/setup lint
	scripts/lint

format: ## Format the Swift sources.
	swift format --in-place --parallel --recursive Package.swift Sources Tests Benchmarks

fuzz: ## Fuzz each parser for FUZZ_SECONDS.
	@scripts/setup build
	scripts/fuzz $(FUZZ_SECONDS)

bench: ## Measure socks5d beside other proxies; BENCH='--help' shows the choices.
	@scripts/setup build
	-@scripts/setup bench
	swift build -c release $(TRAITS) --product socks5d
	swift build -c release --package-path Benchmarks
	exec "$$(swift build -c release --package-path Benchmarks --show-bin-path)/ProxyBench" \
	  --socks5d "$$(swift build -c release --show-bin-path)/socks5d" $(BENCH)

bench-plots: ## Measure 1 to 4000 connections, and draw it into Benchmarks/Plots.
	$(MAKE) bench BENCH='--seconds 1 --json .build/plots.json $(foreach server,socks5d haproxy haproxy-splice,--server \
	  $(server)) $(foreach kind,download upload echo,$(foreach number,1 8 64 512 4000,--scenario $(kind)-$(number))) $(BENCH)'
	python3 Benchmarks/Plots/plots.py .build/plots.json Benchmarks/Plots
	$(MAKE) bench BENCH='--seconds 1 --json .build/plots.json --scenario ping-pong-64 $(BENCH)'
	python3 Benchmarks/Plots/plots.py .build/plots.json Benchmarks/Plots

bench-growth: ## Measure what 1 to 4000 connections cost, with WORKERS, and how that grows.
	$(MAKE) bench BENCH='--workers $(WORKERS) --json .build/growth.json $(foreach server,socks5d haproxy \
	  haproxy-splice,--server $(server)) $(foreach kind,download upload echo cycles ping-pong,$(foreach \
	  number,1 8 64 512 4000,--scenario $(kind)-$(number))) $(BENCH)'
	python3 Benchmarks/Plots/plots.py .build/growth.json .build/growth
	python3 Benchmarks/Plots/growth.py .build/growth.json

bench-names: ## Measure an address and a name beside slow names, in a network namespace.
	@scripts/setup build bench
	swift build -c release $(TRAITS) --product socks5d
	swift build -c release --package-path Benchmarks
	scripts/bench-names "$$(swift build -c release --show-bin-path)/socks5d" \
	  "$$(swift build -c release --package-path Benchmarks --show-bin-path)"

bench-policy: ## Measure a big policy, its reload, and a flood of wrong passwords.
	@scripts/setup build bench
	swift build -c release $(TRAITS) --product socks5d
	swift build -c release --package-path Benchmarks
	scripts/bench-policy "$$(swift build -c release --show-bin-path)/socks5d" \
	  "$$(swift build -c release --package-path Benchmarks --show-bin-path)"

bench-micro: ## Time single parts: handshake, ring, flow control, rules, datagram header.
	@scripts/setup build
	SOCKS5D_MICROBENCH=1 swift package --scratch-path .build-micro -Xswiftc -enable-testing benchmark --no-progress

dist: ## Make the static binary's tar.gz and sha256 in dist/.
	@scripts/setup build dist
	scripts/dist
	scripts/dist-check

dist-reproducible: ## Make that archive twice, in two folders: both must have one hash.
	@scripts/setup build dist
	scripts/dist-reproducible

dist-gssapi: ## Make a tar.gz with GSSAPI in dist/, of an executable that needs this Debian's libraries.
	@scripts/setup build dist gssapi
	scripts/dist-gssapi

deb: ## Make the Debian package in dist/; check, install and remove it in a Debian of its own (as root).
	@scripts/setup build dist deb
	scripts/dist
	scripts/deb
	scripts/deb-check

image-check: ## Build the container image without an engine, and use it.
	@scripts/setup build image
	scripts/image-check

deploy-check: ## Check each file of deploy/ with its own program; replace three servers behind HAProxy under load.
	@scripts/setup build deploy
	scripts/dist
	scripts/deploy-check dist/socks5d-*/socks5d

schema: ## Write the schema and the tables of docs/configuration.md anew, from the table of settings.
	@scripts/setup build
	swift build $(TRAITS) --product socks5d
	scripts/schema "$$(swift build --show-bin-path)/socks5d"

release-baseline: ## Write the files of Tests/Release anew, at a release: what later ones may not take away.
	@scripts/setup build gssapi
	swift build --build-tests --traits TLS,GSSAPI
	python3 -B Tests/Release/surface.py write "$$(swift build --show-bin-path)"

messages: ## Write Tests/Messages.txt anew: every text that the program may say to a person.
	scripts/messages >Tests/Messages.txt.new
	mv Tests/Messages.txt.new Tests/Messages.txt

docs: ## Make the API documentation in .build/docs.
	@scripts/setup build
	scripts/docs

clean: ## Remove everything that was built.
	rm -rf .build .build-* dist Benchmarks/.build Tests/Fuzz/.build
