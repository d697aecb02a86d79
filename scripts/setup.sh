#!/usr/bin/env bash
# Checks the tools that are needed, then builds everything into .venv (or UV_PROJECT_ENVIRONMENT). Quick when up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "setup: $*" >&2; exit 1; }

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
  fail 'Python 3.11 or newer is needed (Debian: apt-get install python3 python3-venv python3-dev)'
command -v cc >/dev/null || fail 'a C compiler is needed (Debian: apt-get install gcc libc6-dev)'
command -v cargo >/dev/null || fail 'Rust 1.88 or newer is needed: https://rustup.rs'
version=$(cargo --version | sed -E 's/^cargo ([0-9]+)\.([0-9]+).*/\1 \2/')
read -r major minor <<<"$version"
[ "$major" -gt 1 ] || [ "$minor" -ge 88 ] ||
  fail "Rust 1.88 or newer is needed, cargo is $major.$minor; \`rustup update stable\` brings it"

scripts/uv.sh --get
began=$SECONDS
echo '── building (the first time takes some minutes: Python packages, then Cython and Rust with full optimisation)'
"$(scripts/uv.sh --path)" sync --locked
echo "── built in $((SECONDS - began)) s"
