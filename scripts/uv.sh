#!/usr/bin/env bash
# uv.sh --path   prints where uv is, or will be
# uv.sh --get    makes sure that it is there: from PATH, else through pip into build/uv
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/build/uv/bin/uv
found=$(command -v uv || echo "$here")
case ${1:-} in
--path) echo "$found" ;;
--get)
  [ -x "$found" ] && exit 0
  echo "── installing uv into build/uv"
  python3 -m venv build/uv
  build/uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9'
  ;;
*) echo 'usage: uv.sh --path | --get' >&2; exit 2 ;;
esac
