# make demo   a simulated tower and the agent, on a web page on loopback; GROUP=3: three agents that share it
# make test   the whole test suite, four tests at once
# make test-receivers  delivery to a real Prometheus, VictoriaMetrics and InfluxDB, the slow tests too
# make test-pythons  the suite with each Python that the machine has; see tools/test-pythons for Debian's
# make dist   the wheels and the source archive, into dist/, their metadata checked
# make check  the gate: formatting, lint, types (of the page's JavaScript too, with npm), layers, words, workflows, metadata
# make bench  the benchmarks, half an hour or more; FULL=1: the long ones, some hours
# make mutants  small changes of the pure directories that no test notices, some hours; DIRECTORIES=snmp/wire MINUTES=10: a part; SAMPLE=200: by chance
# Each does its own set-up. Set PYTHON to choose the interpreter (3.11 or later).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check mutants bench format clean test-receivers test-pythons dist

help:
	@sed -n '/^$$/q; s/^# //p' Makefile

# One of a clone that was moved since, or of another Python, as after an upgrade of the system, is made again.
$(shell test ! -e $(VENV)/demo.stamp \
	|| { grep -qF "$(CURDIR)/" $(BIN)/towerops-agent && $(BIN)/python -c 'import pip'; } 2>/dev/null || rm -rf $(VENV))

# Wheels if there are any, and no network beyond the package index that pip is set up with.
$(VENV)/demo.stamp: pyproject.toml src/towerops_lab/pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || \
		{ echo "Python 3.11 or later is needed, and $(PYTHON) is not installed. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tools/debian-packages no-such-command=python3-venv
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[group]' --editable src/towerops_lab
	@touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' --editable src/towerops_lab
	@touch $@

$(VENV)/bench.stamp: $(VENV)/demo.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]' --editable src/towerops_lab
	@touch $@

demo: $(VENV)/demo.stamp
	@tools/debian-packages snmpd=snmpd $(if $(GROUP),nats-server=nats-server)
	@$(BIN)/towerops-agent demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(GROUP),--group $(GROUP))

test: $(VENV)/dev.stamp
	@tools/debian-packages snmpd=snmpd snmpget=snmp fping=fping chromium=chromium zsh=zsh fish=fish nats-server=nats-server prometheus=prometheus victoria-metrics=victoria-metrics influxd=influxdb
	$(BIN)/python -m pytest -n 4 --dist loadfile $(PYTEST_ARGS)

# The slow ones too: a day's backlog, twenty kills.
test-receivers: $(VENV)/dev.stamp
	@tools/debian-packages prometheus=prometheus victoria-metrics=victoria-metrics influxd=influxdb
	$(BIN)/python -m pytest -m "slow or not slow" tests/receivers $(PYTEST_ARGS)

test-pythons:
	@tools/test-pythons $(RELEASES)

HAS_NODE := command -v npm >/dev/null && node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)'

# Node's tools for the page's JavaScript, of the versions in package-lock.json. Their install scripts do not run.
tools/web/node_modules/stamp: tools/web/package.json tools/web/package-lock.json | $(VENV)/dev.stamp
	@tools/debian-packages npm=npm
	@if $(HAS_NODE); then npm ci --silent --prefix tools/web && touch $@; fi

check: $(VENV)/dev.stamp tools/web/node_modules/stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python tools/plain_english.py
	@if $(HAS_NODE); then npm run --silent --prefix tools/web check; else echo "the page's JavaScript is not checked: that needs npm, and Node 20 or later"; fi
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.renovate renovate.json
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/zizmor --quiet --offline .github
	@$(MAKE) --no-print-directory dist

dist: $(VENV)/dev.stamp
	rm -rf dist && mkdir dist
	$(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	$(BIN)/python -m build --no-isolation --wheel --outdir dist src/towerops_lab >/dev/null
	$(BIN)/twine check --strict dist/*

$(VENV)/mutants.stamp: $(VENV)/dev.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,mutants]'
	@touch $@

mutants: $(VENV)/mutants.stamp
	$(BIN)/python tools/mutants.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(DIRECTORIES)

bench: $(VENV)/bench.stamp
	$(BIN)/python benchmarks/all.py $(if $(FULL),--full)

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) tools/web/node_modules .venv-pythons .mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis
