#!/usr/bin/env bash
# Formatting, lints, types, stubs. Stops at the first complaint.
set -euo pipefail
cd "$(dirname "$0")/.."
run=("$(scripts/uv.sh --path)" run --locked --no-sync)
step() { echo "── $*"; }

step ruff
"${run[@]}" ruff check .
"${run[@]}" ruff format --check .
step mypy
"${run[@]}" mypy
step rustfmt and clippy
cargo fmt --all --check
# through uv, so that PyO3 finds the project's Python
"${run[@]}" cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
step stubs against the compiled modules
"${run[@]}" python -m mypy.stubtest --ignore-disjoint-bases --allowlist scripts/stubtest-allowlist.txt \
  gateway_matcher gateway._fastpath.fanout
