# Thin: each target is a line or two into cargo or scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo demo-masters test fuzz lint docs bench bench-masters torture torture-masters verify-million large lagging simulate build install

TARGET := $(or $(CARGO_TARGET_DIR),target)
DEMO_PACKAGES := -p tahr -p tahr-postgres -p tahr-sqlite -p tahr-redis

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

demo: install ## copy a throwaway database into Redis, SQLite and PostgreSQL, under load
	cargo build --release $(DEMO_PACKAGES)
	$(TARGET)/release/tahr demo

demo-masters: install ## show three databases that replicate to each other
	cargo build --release -p tahr
	$(TARGET)/release/tahr demo masters

test: install ## install what is missing and pass every test
	scripts/postgres-versions.sh
	scripts/mongod.sh
	scripts/oracle-tools.sh
	cargo build --workspace
	scripts/test.sh
	cargo test --quiet --doc -p tahr-plugin-api

fuzz: install ## give every decoder what nobody meant, for a minute each or SECONDS
	TAHR_FUZZ_SECONDS=$(or $(SECONDS),60) cargo test --release -p tahr-plugin-api -p tahr --lib -- --nocapture --test-threads 2 fuzz no_bytes_are no_file_of

lint: install ## formatting, clippy and documentation, without a warning
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

docs: ## write the rules that the plugins state into docs/types.md
	cargo build --workspace
	TAHR_WRITE_DOCS=1 cargo test --quiet -p tahr-tests --test main the_documentation_of_types

bench: install ## measure speed and latency beside PostgreSQL's own tools
	cargo build --release --workspace --example bench
	cargo build --release --workspace
	$(TARGET)/release/examples/bench

bench-masters: install ## measure several masters beside Bucardo 5, which it installs
	scripts/bucardo.sh
	cargo build --release -p tahr -p tahr-tests --bins --example bench_masters
	$(TARGET)/release/examples/bench_masters

torture: install ## kill the engine 200 times, or KILLS, under load on five kinds of targets, and servers in between
	scripts/mongod.sh
	cargo build --workspace
	TAHR_TORTURE_KILLS=$(or $(KILLS),200) cargo test -p tahr-tests --test main -- --nocapture --test-threads 1 torture::kills torture::gathered

torture-masters: install ## kill engine and masters at random under load, for a minute or SECONDS
	cargo build --workspace
	TAHR_TORTURE_SECONDS=$(or $(SECONDS),60) cargo test -p tahr-tests --test main -- --nocapture masters::torture

verify-million: install ## find and repair one row in a million, or ROWS, under load
	cargo build --release --workspace
	TAHR_VERIFY_ROWS=$(or $(ROWS),1000000) cargo test --release -p tahr-tests --test main -- --nocapture verify::million

large: install ## copy ten million rows of one transaction, or ROWS, within 256 MiB
	scripts/mongod.sh
	cargo build --release --workspace
	TAHR_LARGE_ROWS=$(or $(ROWS),10000000) cargo test --release -p tahr-tests --test main -- --nocapture --test-threads 1 bounded_memory

lagging: install ## stop one of four targets under load, for a minute or SECONDS
	cargo build --release --workspace
	TAHR_LAGGING_SECONDS=$(or $(SECONDS),60) cargo test --release -p tahr-tests --test main -- --nocapture --test-threads 1 stopped_target

simulate: ## run a million histories of several sources, or COUNT from SEED on, of one STRATEGY
	cargo run --release -p tahr --example simulate -- $(or $(COUNT),1000000) $(or $(SEED),0) $(STRATEGY)

build: install ## build everything, for debugging
	cargo build --workspace

install: ## install the servers and tools that are missing
	@scripts/install.sh
