# Fresco. `make run` starts it, `make test` proves it; both set up what they need and are safe to repeat.

SHELL := /bin/sh
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run build bundle static test check fmt lint native parity browser deny goldens screenshot setup-build setup-test reference bench bench-models bench-jobs

CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))
FRESCO_TOOLS := $(abspath $(or $(FRESCO_TOOLS),.tools))
FRESCO_BIN := $(CARGO_TARGET_DIR)/release/fresco
PATH := $(FRESCO_TOOLS)/bin:$(PATH):$(HOME)/.cargo/bin
export CARGO_TARGET_DIR FRESCO_TOOLS FRESCO_BIN PATH
# Trunk and some shells disagree about what this variable may hold.
unexport NO_COLOR

# One selection of packages for every native call and one for every wasm call: cargo unifies features over the
# selection, so that another one would compile the tensor library again. The page has a target folder of its own, so
# that the two neither wait for each other nor share proc macros with different features.
NATIVE := --release --locked --workspace
WASM_TARGET_DIR := $(CARGO_TARGET_DIR)/wasm
WASM := --target-dir "$(WASM_TARGET_DIR)" --release --locked --target wasm32-unknown-unknown -p fresco-web -p fresco-tests
STAGING := $(WASM_TARGET_DIR)/page
CACHE := $(WASM_TARGET_DIR)/page-cache

say = @printf 'fresco: %s  %s\n' "$$(date +%H:%M:%S)"

help:
	@echo 'make run      build Fresco and start it on http://127.0.0.1:7860 (PORT=… for another port)'
	@echo 'make build    build what `make run` starts: $$CARGO_TARGET_DIR/release/fresco'
	@echo 'make static   build the page for any static file server: dist-static/; TAB_HUB=ORIGINS lets it fetch models'
	@echo 'make test     every test: formatting, clippy, native, parity in the browser, the page in the browser'
	@echo 'make check    the quick part of it: formatting and clippy'
	@echo 'make screenshot  the browser tests, and a new picture of the page for the README'
	@echo 'make bench-jobs  the queue under load: how long a submit takes, how much memory'
	@echo 'make bench-models  published layouts at full size, against diffusers: BENCH="--models sd-turbo" for one'
	@echo 'make goldens  write the reference tensors again (needs Python 3.11 or newer)'

run: build
	$(say) 'starting (end it with Ctrl-C)'
	@exec "$(FRESCO_BIN)" serve

build: setup-build bundle
	$(say) 'building the daemon with the page inside'
	@cargo build $(NATIVE) --bin fresco
	$(say) 'built $(FRESCO_BIN)'

bundle: setup-build
	$(say) 'building the page (release, wasm32)'
	@CARGO_TARGET_DIR="$(WASM_TARGET_DIR)" "$(FRESCO_TOOLS)/bin/trunk" build --release --offline --locked --dist "$(STAGING)"
	@node .ci/bundle.mjs "$(STAGING)" dist "$(CACHE)"

static: bundle
	$(say) 'putting page and embedded model together in dist-static/'
	@node .ci/static.mjs dist public/models dist-static $(TAB_HUB)

test: setup-test fmt build static lint native parity browser deny
	$(say) 'every test passed'

check: setup-build fmt lint

fmt: setup-build
	$(say) 'formatting'
	@cargo fmt --all --check

lint: setup-build
	$(say) 'clippy, native'
	@cargo clippy $(NATIVE) --all-targets -- -D warnings
	$(say) 'clippy, wasm32'
	@cargo clippy $(WASM) --lib --bins --test parity -- -D warnings

native: setup-test
	$(say) 'native tests'
	@cargo test $(NATIVE)

parity: setup-test
	$(say) 'parity with the reference, in Chromium'
	@CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER='node browser/wasm-runner.mjs' cargo test $(WASM) --test parity

browser: build static setup-test
	$(say) 'the page in Chromium'
	@node --test --test-reporter=spec --test-concurrency=1 tests/browser/*.test.mjs

deny:
	@if command -v cargo-deny >/dev/null; then \
	  printf 'fresco: %s  %s\n' "$$(date +%H:%M:%S)" 'licences and sources of dependencies'; \
	  cargo deny --offline --log-level error check licenses bans sources; \
	else echo 'fresco: skipped: licences of dependencies (cargo-deny is not installed)'; fi

screenshot: browser
	$(say) 'keeping the picture of the page that the README shows'
	@cp tests/browser/out/desktop.png tests/browser/screenshot.png

goldens: reference
	$(say) 'writing tests/goldens'
	@.venv/bin/python tests/reference/goldens.py
	@.venv/bin/python tests/reference/embedded.py

bench: bench-jobs bench-models

bench-jobs: setup-build
	$(say) 'the queue under load'
	@cargo test $(NATIVE) --test cli -- --ignored --nocapture load

bench-models: build reference
	$(say) 'full-size models with random weights, against diffusers (minutes a model, up to 22 GB of disk)'
	@.venv/bin/python tests/bench/published.py "$(FRESCO_BIN)" $(BENCH)

reference:
	$(say) 'setting up Python for the reference in .venv'
	@command -v python3 >/dev/null || { echo 'fresco: python3 is missing: install Python 3.11 or newer' >&2; exit 1; }
	@test -x .venv/bin/python || python3 -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/reference/requirements.txt

setup-build:
	@.ci/setup.sh build

setup-test:
	@.ci/setup.sh test
