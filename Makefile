# The two commands of the README are `make demo` and `make test`; each does all its set-up.
BIN := .venv/bin
.PHONY: demo test check format coverage benchmark fuzz faults servers lock clean

demo: .venv/.ready
	$(BIN)/footanalytics demo

# Pulsar's client has threads of its own, which crash now and then beside OpenVINO and torch: as in the
# product, where the relay is a process of its own, its tests run in a process that loads neither.
PULSAR_TESTS := $(patsubst %,tests/test_%.py,doctor relay relay_faults relay_security servers telemetry)

test: .venv/.ready
	$(BIN)/pytest $(PULSAR_TESTS:%=--ignore=%)
	$(BIN)/pytest $(PULSAR_TESTS)

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow and not benchmark" $(PULSAR_TESTS:%=--ignore=%)
	$(BIN)/pytest -m "not slow and not benchmark" $(PULSAR_TESTS)

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: .venv/.ready
	$(BIN)/pytest --cov --cov-report=term

# Mutated videos and generated requests, in numbers; findings are kept in ./fuzz-findings.
fuzz: .venv/.ready
	$(BIN)/python -m tests.fuzz.media --count 20000
	$(BIN)/python -m tests.fuzz.api --examples 100

benchmark: .venv/.ready
	$(BIN)/pytest -m benchmark tests/test_performance.py

# Every scenario of the fault matrix with real processes, about half an hour.
faults: .venv/.ready
	$(BIN)/python -m tests.faults.matrix --report docs/reliability.md

# A real Redis for the state, one for Celery's messages, and Pulsar: in ./servers, until Ctrl-C.
servers: .venv/.ready
	exec $(BIN)/python deploy/servers.py --dir servers

lock:
	uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate -o requirements.lock
	uv pip compile -q pyproject.toml --universal --python-version 3.11 -c requirements.lock \
	    --excludes deploy/images/service-without.txt \
	    --generate-hashes --no-header --no-annotate -o deploy/images/service.lock
	uv pip compile -q pyproject.toml deploy/images/worker.in --python-version 3.11 \
	    --python-platform x86_64-manylinux_2_28 -c requirements.lock \
	    --excludes deploy/images/worker-without.txt \
	    --generate-hashes --no-header --no-annotate -o deploy/images/worker.lock
	uv pip compile -q deploy/images/wheel.in --universal --python-version 3.11 -c requirements.lock \
	    --generate-hashes --no-header --no-annotate -o deploy/images/wheel.lock

.venv/.ready: requirements.lock pyproject.toml deploy/set_up.sh
	sh deploy/set_up.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache demo
