#!/usr/bin/env bash
# Everything that must hold. The runners' own closing lines come last; arguments go to the first pytest run.
set -euo pipefail
cd "$(dirname "$0")/.."
run=("$(scripts/uv.sh --path)" run --locked --no-sync)
step() { echo "── $*"; }

scripts/lint.sh
step cargo test
# the binding crate needs an interpreter around it: pytest tests that one
cargo test --quiet --workspace --exclude gateway-matcher --locked
step pytest
"${run[@]}" pytest -m 'not gate' "$@"
step speed gates, alone
"${run[@]}" pytest -m gate
