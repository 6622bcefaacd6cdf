# Two commands are enough on a fresh machine: `make demo` and `make test`.
# Paths are relative throughout, so the checkout may lie in a folder with spaces in its name.

VENV = .venv
PYTHON = $(VENV)/bin/python
LOWEST = .venv-lowest
CLUSTER = .venv-cluster

PYTEST = -m pytest -n 4 --dist worksteal

# Compiled modules are kept, also where the surroundings say otherwise: the tests start the program a thousand times.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test test-all test-lowest interop azurite browser lint format samples examples docs docs-serve bench reliability mutants dist clean native native-if-cargo native-tests wheels demo-live apache apicurio live cluster

help:
	@echo "make demo         install into $(VENV) and run esctl on the sample logs"
	@echo "make demo-live    follow a topic of Kafka into a store and a database, on this machine (needs Go, or Java)"
	@echo "make test         run the tests that a change must pass"
	@echo "make test-all     run every test, with fresh examples too"
	@echo "make lint         ruff, mypy --strict, import-linter"
	@echo "make format       let ruff mend layout and imports"
	@echo "make samples      write sample_logs/ anew (the same bytes)"
	@echo "make examples     write the outputs shown in the documents anew, and what they take from the command table"
	@echo "make docs         build the documentation into build/site; make docs-serve shows it on port 8000"
	@echo "make test-lowest  run the suite with the lowest versions pyproject.toml allows"
	@echo "make native       build the native core and install it into $(VENV) (needs cargo)"
	@echo "make wheels       build the wheels of esctl and of the native core that can be built here"
	@echo "make interop      build, for the tests, what checks proofs independently, a Kafka broker and an object store (needs Go)"
	@echo "make azurite      install, for the tests, an emulator of Azure's object store (needs npm)"
	@echo "make live         hold esctl to Apache Kafka and Apicurio (from Maven Central) and PostgreSQL (Debian's) on loopback"
	@echo "make cluster      hold Spark, Ray and Dask to the answers of one process (fetches them from PyPI)"
	@echo "make browser      install Chromium (Debian's), in which the tests look at reports"
	@echo "make bench N=1000000  time esctl against DuckDB SQL by hand and a plain script"
	@echo "make reliability  kill, starve, damage and race stores; the figures go into docs/reliability.md"
	@echo "make mutants N=100  change the code a little, N times, and see whether the tests notice; SEED=2 draws others"
	@echo "make dist         build wheel and sdist"
	@echo "make clean        remove everything made here"

$(VENV)/.demo: pyproject.toml
	@sh .ci/venv $(VENV) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml
	@sh .ci/venv $(VENV) -e '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	@PATH="$$PWD/$(VENV)/bin:$$PATH" sh sample_logs/demo.sh build/demo

demo-live: $(VENV)/.dev
	@if command -v go >/dev/null; then $(MAKE) -s build/kafka; else $(MAKE) -s build/apache-kafka; fi
	@$(PYTHON) sample_logs/live.py build/demo-live

native: $(VENV)/.native

NATIVE = $(wildcard native/*.toml native/Cargo.lock native/core/Cargo.toml native/src/*.rs native/core/src/*.rs native/core/src/*/*.rs)

build/native/.built: $(NATIVE) .ci/native
	@sh .ci/native
	@touch $@

$(VENV)/.native: $(VENV)/.dev build/native/.built
	@sh .ci/venv $(VENV) --force-reinstall --no-deps build/native/*.whl
	@touch $@

native-if-cargo: $(VENV)/.dev
	@if command -v cargo >/dev/null; then $(MAKE) --no-print-directory native || echo "make native failed: tests run without the core"; fi

native-tests:
	cd native && CARGO_TARGET_DIR="$$PWD/../build/cargo" cargo test --locked --quiet -p esctl-core

test: $(VENV)/.dev native-if-cargo
	@$(PYTHON) -m compileall -q esctl  # each process of the tests would compile it, where Python may write none
	$(PYTHON) $(PYTEST)

test-all: $(VENV)/.dev native-if-cargo
	ESCTL_TESTS=all $(PYTHON) $(PYTEST)

lint: $(VENV)/.dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy --strict
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

samples:
	python3 sample_logs/generate.py

examples: $(VENV)/.dev
	$(PYTHON) -m tests.support.readme_examples
	$(PYTHON) -m tests.support.notebook
	$(PYTHON) docs/generate.py

docs: $(VENV)/.dev
	$(PYTHON) docs/site.py

docs-serve: docs
	$(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site 8000

test-lowest: pyproject.toml
	@mkdir -p build
	@python3 .ci/lowest.py > build/lowest.txt
	@sh .ci/venv $(LOWEST) -c build/lowest.txt -e '.[dev]'
	$(LOWEST)/bin/python $(PYTEST)

interop: build/interop build/kafka build/s3

build/interop: tests/interop/go/main.go tests/interop/go/go.mod tests/interop/go/go.sum
	@mkdir -p build
	cd tests/interop/go && go build -o ../../../build/interop .

build/kafka: tests/interop/kafka/main.go tests/interop/kafka/certificate.go tests/interop/kafka/go.mod tests/interop/kafka/go.sum
	@mkdir -p build
	cd tests/interop/kafka && go build -o ../../../build/kafka .

build/s3: tests/interop/s3/main.go tests/interop/s3/go.mod tests/interop/s3/go.sum
	@mkdir -p build
	cd tests/interop/s3 && go build -o ../../../build/s3 .

azurite: build/azurite

build/azurite:
	@mkdir -p build && rm -rf $@.part
	npm install --silent --no-audit --no-fund --prefix $@.part azurite@3.35.0
	@mv $@.part $@

apache: build/apache-kafka

build/apache-kafka: tests/interop/apache/pom.xml
	@mkdir -p build && rm -rf $@.part
	mvn -q -B -f tests/interop/apache/pom.xml dependency:copy-dependencies -DoutputDirectory="$$PWD/$@.part"
	@rm -rf $@ && mv $@.part $@

apicurio: build/apicurio

build/apicurio: tests/interop/apicurio/pom.xml
	@mkdir -p build && rm -rf $@.part
	mvn -q -B -f tests/interop/apicurio/pom.xml dependency:unpack-dependencies -DoutputDirectory="$$PWD/$@.part"
	@rm -rf $@ && mv $@.part $@

live: $(VENV)/.dev interop apache apicurio
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends postgresql; }
	$(PYTHON) -m reliability.live
	$(PYTHON) -m reliability.report

cluster: $(VENV)/.dev
	@sh .ci/venv $(CLUSTER) -e '.[cloud,pandas]' pytest
	@for each in pyspark ray distributed; do sh .ci/venv $(CLUSTER) $$each || echo "$$each cannot be installed: it is not tried"; done
	$(CLUSTER)/bin/python -m reliability.cluster $(EVENTS)
	$(PYTHON) -m reliability.report

browser:
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -y -q --no-install-recommends chromium; }

bench: $(VENV)/.dev native-if-cargo
	$(PYTHON) bench/run.py $(N)

reliability: $(VENV)/.dev
	$(PYTHON) -m reliability.crash $(POINTS)
	$(PYTHON) -m reliability.flips $(FLIPS)
	$(PYTHON) -m reliability.damage
	$(PYTHON) -m reliability.race
	$(PYTHON) -m reliability.fuzz
	$(PYTHON) -m reliability.roads
	$(PYTHON) -m reliability.hostile
	$(PYTHON) -m reliability.curves
	$(PYTHON) -m reliability.report

mutants: $(VENV)/.dev
	$(PYTHON) -m reliability.mutants $(or $(N),100) $(or $(SEED),1) $(PART)
	$(PYTHON) -m reliability.report

wheels: $(VENV)/.dev
	@sh .ci/wheels

dist: $(VENV)/.dev
	$(PYTHON) -m build --outdir dist

clean:
	rm -rf build dist $(VENV) $(LOWEST) $(CLUSTER) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
