#!/usr/bin/env bash
# Installs what a bare Debian 12 machine lacks to build and test the gateway. Does nothing where all is there.
set -euo pipefail

missing=()
want() { # want PACKAGE TEST…: the package is missing when the test fails
  local package=$1; shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb; }
has_java() { java -version 2>&1 | grep -qE 'version "(1[7-9]|[2-9][0-9])'; }
has_headers() { python3 -c 'import os, sysconfig as s; assert os.path.exists(os.path.join(s.get_path("include"), "Python.h"))'; }

want python3 command -v python3
want python3-venv python3 -c 'import venv, ensurepip'
want python3-pip python3 -m pip --version
want python3-dev has_headers
want gcc command -v cc
want libc6-dev test -e /usr/include/stdlib.h
want make command -v make
want git command -v git
want ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
want util-linux command -v setpriv
want postgresql has_postgres
want chromium command -v chromium
want firefox-esr command -v firefox-esr
want redis-server command -v redis-server
want nodejs command -v node
want npm command -v npm
# a real Kafka broker for the tests (scripts/kafka); GATEWAY_TEST_KAFKA=skip does without
if [ "${GATEWAY_TEST_KAFKA:-}" != skip ]; then
  want default-jre-headless has_java
  want maven command -v mvn
fi

if [ ${#missing[@]} -gt 0 ]; then
  echo "── installing: ${missing[*]}"
  sudo=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "machine: as root: apt-get install ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
  fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Debian 12's own Rust is too old; setup.sh says the same, this says it before anything else is built
version=$(cargo --version 2>/dev/null | sed -E 's/^cargo ([0-9]+)\.([0-9]+).*/\1 \2/' || true)
read -r major minor <<<"${version:-0 0}"
if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt 88 ]; }; then
  echo 'machine: Rust 1.88 or newer is needed: install it from https://rustup.rs, or run `rustup update stable`' >&2
  exit 1
fi
