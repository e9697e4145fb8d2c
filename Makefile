# What a developer types. Every target does all its own set-up; `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lock demo demo-down test test-fast test-all docs site build fuzz faults bench matrix engines

VENV := .venv
PLAY := $(VENV)/bin/ansible-playbook -i .lab/inventory.yml
LAB := $(VENV)/bin/python molecule/shared/lab
RUN := $(VENV)/bin/python tests/run.py

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: $(VENV)/.ready ## the virtual environment and the packages the control side needs
	@mkdir -p .collections/ansible_collections/selfhosted
	@ln -sfn ../../.. .collections/ansible_collections/selfhosted/coolify

$(VENV)/.ready: requirements-dev.txt tests/packages.sh tests/setup.sh
	@bash tests/packages.sh
	@bash tests/setup.sh $(VENV)
	@touch $@

lock: setup ## the newest release of every tool of requirements-dev.in into requirements-dev.txt
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --output-file requirements-dev.txt requirements-dev.in

demo: setup ## boot the lab (COOLIFY=… its version), show the hops before and after site.yml, leave it up
	@COOLIFY=$(COOLIFY) bash tests/demo.sh

demo-down: setup ## remove the lab and everything it left on this machine
	@$(LAB) down

test: setup ## everything: unit, lint, sanity, Molecule scenarios, browser
	@$(RUN) test

test-fast: setup ## unit and lint
	@$(RUN) fast

test-all: setup ## everything, every scenario on all three systems
	@$(RUN) all

SEED_OPTION = $(if $(SEED),--seed $(SEED))

fuzz: setup ## random input against independent oracles, with SEED=… the same again
	@$(LAB) build --system trixie
	@$(VENV)/bin/python tests/fuzz/env_files.py --files 100000 $(SEED_OPTION)
	@$(VENV)/bin/python tests/fuzz/http_conf.py --files 100000 --nginx 2000 $(SEED_OPTION)
	@$(VENV)/bin/python tests/fuzz/ingress_lists.py --lists 100000 $(SEED_OPTION)
	@$(VENV)/bin/python tests/fuzz/nft_packets.py --packets 100000 $(SEED_OPTION)
	@$(VENV)/bin/python tests/fuzz/plans.py --hosts 100000 $(SEED_OPTION)

faults: setup ## cut the edits by SIGKILL at random moments, with SEED=… the same again
	@$(LAB) up --prefix faults --system trixie --coolify 4.3.24
	@trap '$(LAB) down --prefix faults --keep-engine' EXIT; \
		$(VENV)/bin/python tests/faults/cuts.py --prefix faults --modules 500 --site 30 $(SEED_OPTION)

engines: setup ## the firewall's table beside firewalld, and under an engine built with the nftables back end
	@$(LAB) up --prefix engines --system trixie --coolify 4.3.24
	@trap '$(LAB) down --prefix engines --keep-engine' EXIT; \
		LAB_PREFIX=engines $(VENV)/bin/python molecule/firewall/engines.py

matrix: setup ## every promised release of ansible-core: unit tests, and site, verify, remove on a lab host
	@$(VENV)/bin/python tests/matrix.py

docs: setup ## write the generated parts of the documentation again
	@$(VENV)/bin/python tests/docs.py

site: setup ## the documentation of modules, filters and roles as a site, in build/site
	@$(VENV)/bin/python tests/site.py

build: ## the collection's tarball, by any ansible-galaxy on the PATH, else that of `make setup`
	@export PATH="$$PATH:$(CURDIR)/$(VENV)/bin"; command -v ansible-galaxy >/dev/null || \
		{ echo "There is no ansible-galaxy on the PATH: README.md says how to get Ansible." >&2; exit 1; }; \
		ansible-galaxy collection build --force

bench: setup ## the figures that are measured, as ratios and counts in one run
	@$(VENV)/bin/python tests/bench/run.py
