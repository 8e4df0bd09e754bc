# The commands of this repository. Each does its own set-up; nothing is installed outside target/ and node_modules.

CARGO ?= cargo
PYTHON ?= python3
NPM ?= npm

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
VENV := $(TARGET)/venv
E2E_VENV := $(TARGET)/e2e-venv
INFRA := $(wildcard infra-cdk/package.json)
# The crates that are published.
CRATES := lambda-streams lambda-streams-local
# The features of a crate, which must also build alone.
features_of = $(shell $(CARGO) metadata --format-version 1 --no-deps 2>/dev/null | $(PYTHON) -c 'import json, sys; \
	print(*next(p["features"] for p in json.load(sys.stdin)["packages"] if p["name"] == "$(1)"))')

# What `make mutants` breaks: the decisions on a failed record, a deadline and the response. A change here is most likely to be a
# promise that is broken. Each takes a build of the tests, so all of `src/` would take many hours.
MUTATED := src/execute/disposition.rs src/execute/gate.rs src/execute/deadline.rs src/outcome/response.rs
# The tests that it runs: the promises about these decisions, without the large ones.
MUTANTS_TESTS := disposition gate deadline failures order redelivery:: response debug_says the_service_answers no_filter_runs \
	a_record_awaiting
CARGO_MUTANTS := 27.1.0

# Python's tests leave no files.
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: mutants architecture words help test test-rust test-infra test-template test-python e2e e2e-mutants soak local instructions lint fmt clippy features docs links deny package

help: ## Lists the commands
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 18

test: test-rust test-infra test-template ## All tests, all features; those of infra-cdk and of the template too

test-rust: $(VENV)/installed ## The Rust tests of all packages: unit, integration, doc tests, the examples
	MINISTACK=$(VENV)/bin/ministack TEST_REQUIRES_MINISTACK=1 \
		$(CARGO) test --locked --workspace --all-features

test-infra: ## The tests of infra-cdk
ifneq ($(INFRA),)
	cd infra-cdk && $(NPM) ci --no-audit --no-fund && $(NPM) test
endif

# `lambda-streams` is built as `test-rust` builds it, so nothing is built twice.
test-template: $(TARGET)/template-venv/installed infra-cdk/dist/index.js ## A project of `template/`: made, built, tested, invoked, synthesized
	$(CARGO) test --quiet --locked --workspace --all-features --no-run --test it
	TARGET=$(TARGET) CARGO=$(CARGO) LAMBDA_STREAMS=$(TARGET)/debug/lambda-streams \
		CARGO_LAMBDA=$(<D)/bin/cargo-lambda $(PYTHON) tests/template/check.py

test-python: infra-cdk/node_modules/.package-lock.json ## The Python package of infra-cdk, and its example against the TypeScript demo; 2 to 5 minutes
	cd infra-cdk && PYTHON=$(PYTHON) $(NPM) run test:python

e2e: $(E2E_VENV)/installed infra-cdk/node_modules/.package-lock.json ## The demo, deployed into a local AWS emulator and driven; ARGS="-k word" picks scenarios
	CARGO=$(CARGO) PYTHONDONTWRITEBYTECODE=1 $(E2E_VENV)/bin/python -m pytest tests/e2e $(ARGS)

e2e-mutants: $(E2E_VENV)/installed infra-cdk/node_modules/.package-lock.json ## Breaks the demo on purpose, and shows which scenario of e2e notices
	CARGO=$(CARGO) PYTHONDONTWRITEBYTECODE=1 $(E2E_VENV)/bin/python tests/e2e/mutants.py $(ARGS)

infra-cdk/node_modules/.package-lock.json: infra-cdk/package-lock.json
	cd infra-cdk && $(NPM) ci --no-audit --no-fund
	@touch $@

infra-cdk/dist/index.js: infra-cdk/node_modules/.package-lock.json $(wildcard infra-cdk/lib/*.ts)
	cd infra-cdk && $(NPM) run --silent build

SOAK_SECONDS ?= 600

soak: ## The model tests for SOAK_SECONDS: random schedules against the promises
	SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --locked -p example-world --test model soak -- --nocapture

mutants: $(TARGET)/tools/bin/cargo-mutants ## Breaks the executor's decisions one by one, and fails if no test notices; about 6 minutes
	CARGO_TARGET_DIR=$(TARGET)/mutants $< mutants --package lambda-streams $(MUTATED:%=--file %) \
		--no-default-features --cargo-arg=--lib --cargo-arg=--test=it --minimum-test-timeout 30 --output $(TARGET)/mutants \
		-- -- $(MUTANTS_TESTS) || [ $$? -eq 3 ] # A test that hangs notices too.
	@! grep . $(TARGET)/mutants/mutants.out/missed.txt

$(TARGET)/tools/bin/cargo-mutants:
	env -u CARGO_TARGET_DIR $(CARGO) install --quiet --locked --version $(CARGO_MUTANTS) --root $(TARGET)/tools cargo-mutants

architecture: ## Draws the picture of ARCHITECTURE.md from the code, and makes links of the guide's pictures
	DRAW=1 $(CARGO) test --locked -p lambda-streams --test architecture

words: ## Phrases to say in plain English, in docs, comments, messages and names of tests; ARGS=FILES or --count
	$(PYTHON) tests/words/test_check.py
	$(PYTHON) tests/words/check.py $(ARGS)

local: ## The main job on an in-process DynamoDB; make local ARGS="--items FILE.ndjson"
	$(CARGO) run --locked --example local -- $(ARGS)

instructions: ## Instructions per record against those on record (needs valgrind)
	benches/instructions.sh

lint: fmt clippy features links ## Formatting, clippy, each feature alone, strict rustdoc, its links

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings

features:
	@set -e; $(foreach crate,$(CRATES),for feature in "" $(call features_of,$(crate)); do \
		echo "cargo clippy -p $(crate) --lib --no-default-features --features '$$feature'"; \
		$(CARGO) clippy --quiet --locked -p $(crate) --lib --no-default-features --features "$$feature" -- -D warnings; \
	done;)

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --all-features --no-deps

links: docs ## Follows every link of the Markdown files and of the rendered documentation, inside of this repository
	cd tests/links && $(PYTHON) -m unittest --quiet
	$(PYTHON) tests/links/check.py $(TARGET)/doc

deny: ## Licences, sources and duplicates of the dependencies, and the advisories where their database can be had
	$(CARGO) deny --locked --all-features check $(or $(CHECKS),all)

package: ## Builds both crates from their own tarballs
	$(CARGO) package --locked --allow-dirty $(CRATES:%=-p %)

# MiniStack, the local AWS whose SQS the tests of the dead-letter queue talk to; for e2e, its clients and the test runner too.
$(VENV)/installed: tests/requirements.txt
$(E2E_VENV)/installed: tests/e2e/requirements.txt tests/requirements.txt
%/installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# `cargo lambda new`. It has no build for each system: the check of the template says loudly where it is not there.
$(TARGET)/template-venv/installed: tests/template/requirements.txt
	$(PYTHON) -m venv $(@D)
	-$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@
