# Every target needs only GNU make and Python 3.11; `hospital` needs Java 17, Maven and npm too.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
STAMP := .venv/installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-postgres test-brokers check crash hospital reference bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r name what; do printf '%-20s%s\n' "$$name" "$$what"; done

venv: $(STAMP) ## virtual environment in .venv, again only when the requirements changed

$(STAMP): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no python3 found; install Python 3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than 3.11; say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) cannot make environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt
	.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e .
	.venv/bin/python -m compileall -q fhirbridge
	@touch $@

demo: venv ## the whole chain once, with a sandbox hospital
	.venv/bin/fhirbridge demo

test: venv ## all tests but those that need a real HAPI FHIR server
	.venv/bin/python -m pytest -q -n auto --dist worksteal

test-postgres: venv ## the tests that touch a database, on a PostgreSQL that they start and end
	.venv/bin/python -m pytest -q -rs -n auto --dist worksteal --database postgresql \
		tests/registry tests/web tests/sync tests/jobs tests/journeys tests/commands tests/hl7v2/test_cases.py \
		--ignore tests/journeys/test_https.py --ignore tests/journeys/test_foreign_clients.py

test-brokers: venv ## background jobs over a real RabbitMQ and a real Redis, started and ended by the tests
	.venv/bin/python -m pytest -q -m broker tests

check: venv ## lint, format, types, layers
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy --strict fhirbridge wsgi.py
	.venv/bin/python -m pytest -q tests/test_layers.py

hospital: venv ## journeys against a real HAPI FHIR server, and HL7's packages (Java 17, Maven, npm)
	.venv/bin/python -m pytest -q -m "hapi or npm" tests

KILLS ?= 50

crash: venv ## the service killed KILLS times under four senders, on each database (PostgreSQL)
	.venv/bin/python -m tests.crash --kills $(KILLS)

reference: venv ## the judge beside HL7's validator (Java 17, Maven, npm)
	.venv/bin/python -m bench.reference

bench: venv ## the benchmarks of the README's figures
	.venv/bin/python -m bench

clean: ## remove what make has made
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis tests/hapi/target tests/hl7v2/peer/target bench/reference/target
	rm -rf ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
