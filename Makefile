# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

.PHONY: help demo test proofs molecule vm guide lint format bench counts faults fleet attacks fuzz coverage clean
.DEFAULT_GOAL := help

DEVICES ?= 4
SECONDS ?= 60
NOX = .work/venv/bin/nox

help: ## Print what there is.
	@echo "edgefleet.tpm2: make TARGET"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  %-8s %s\n' "$$name" "$$text"; done

demo: ## Enroll a factory line of software TPMs, DEVICES=4 of them, one without EK certificate, and an impostor; again continues with them; FRESH=edge-01 gives one a new board.
	@scripts/setup demo
	@DEVICES=$(DEVICES) demo/run

test: ## Run the checks, and the tests of code, pages, modules, roles and playbooks; sum up.
	@scripts/setup test
	@scripts/test

proofs: ## Run the long proofs: attacks, faults at every position, the demo, and that the benchmark compares like with like.
	@scripts/setup test
	@$(NOX) -e proofs

molecule: ## Run the roles in systemd containers of Debian 12 and 13 (podman; software TPMs); SCENARIO=abrmd runs one.
	@scripts/setup molecule
	@scripts/molecule $(SCENARIO)

vm: ## Run the roles in virtual machines of Debian 12 and 13: a real kernel, measured boot, Secure Boot; PART=every or ci: more, or less.
	@scripts/setup vm
	@scripts/vm $(PART)

guide: ## Follow the README's installation, docs/first-fleet.md and docs/identity.md block by block, over SSH to devices in containers (podman).
	@scripts/setup molecule
	@.work/venv/bin/python -m pytest -q -n 2 tests/guide

lint: ## Run the linters: ruff, mypy, yamllint, shellcheck, REUSE, ansible-lint.
	@scripts/setup test
	@$(NOX) -e lint license-check extra-checks docs

format: ## Lay the Python code out as the linters want it.
	@scripts/setup test
	@.work/venv/bin/ruff check --fix-only --quiet .
	@.work/venv/bin/ruff format .

bench: ## Measure a no-op over ten devices against tpm2-tools tasks, first runs over SSH, and enrolling; writes docs/benchmarks.md.
	@scripts/setup test
	@tests/bench/run

counts: ## Print the counted bounds (TPM commands of each kind of run) beside what was counted.
	@scripts/setup test
	@.work/venv/bin/python -m pytest -s tests/integration/test_counts.py

faults: ## Run the fault tests: the module, the TPM or the connection ends between any two TPM commands.
	@scripts/setup test
	@$(NOX) -e faults

fleet: ## Enroll a hundred software devices from two controllers with one PostgreSQL, and from one with SQLite; DEVICES=30 takes fewer.
	@scripts/setup test
	@DEVICES=$(if $(filter command line environment,$(origin DEVICES)),$(DEVICES),100) .work/venv/bin/python -m pytest -q -s -n 2 tests/fleet

fuzz: ## Fuzz each parser of a device's or a stranger's bytes for SECONDS=60 seconds, from a new seed.
	@scripts/setup test
	@.work/venv/bin/python -m pytest -q -n auto --fuzz-seconds=$(SECONDS) tests/unit/test_fuzz.py tests/unit/test_fuzz_files.py

coverage: ## Measure what the unit tests cover of the specification's part and of the controller's; less than before is a failure.
	@scripts/setup test
	@$(NOX) -e coverage

attacks: ## Run the attacks: hostile devices, forged and replayed evidence, and every other test that docs/security.md names.
	@scripts/setup test
	@.work/venv/bin/python -m pytest -n auto --dist loadgroup -m attacks --ignore=tests/vm --ignore=tests/fleet --ignore=tests/guide tests

clean: ## End and remove the demo's devices and everything that was generated in this checkout.
	@if [ -x demo/clean ]; then demo/clean; fi
	@rm -rf .work
