#!/usr/bin/env bash
# Installs a Codex CLI in a folder of its own and prints where.
#
#   setup.sh [VERSION]   the first of the versions below, or another one
#   setup.sh --versions  prints the versions that the tests are run with, the newest first
#
# Needs node with npm. Running it again changes nothing. With CODEX_BIN set nothing is installed, and
# with TOWER_RESPONSES_INSTALL=0 neither: then it fails if that version is not there.
set -euo pipefail

versions="0.171.0 0.169.0"
if [ "${1:-}" = --versions ]; then
  echo "$versions"
  exit
fi

version=${1:-${versions%% *}}
home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/codex/$version
codex=${CODEX_BIN:-$home/node_modules/.bin/codex}

if [ -z "${CODEX_BIN:-}" ] && [ "$("$codex" --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
  [ "${TOWER_RESPONSES_INSTALL:-1}" != 0 ] || { echo "Codex $version is not installed" >&2; exit 1; }
  command -v npm >/dev/null || { echo "Codex cannot be installed: there is no npm" >&2; exit 1; }
  mkdir -p "$home"
  npm install --prefix "$home" --no-fund --no-audit --save-exact "@openai/codex@$version" >&2
fi
"$codex" --version >&2
echo "$codex"
