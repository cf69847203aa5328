#!/usr/bin/env bash
# Installs the Codex CLI that the tests were written for, in a folder of its own, and prints where.
# Needs node with npm. Running it again changes nothing. With CODEX_BIN set nothing is installed.
set -euo pipefail

version=0.169.0
home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/codex
codex=${CODEX_BIN:-$home/node_modules/.bin/codex}

if [ -z "${CODEX_BIN:-}" ] && [ "$("$codex" --version 2>/dev/null | awk '{print $NF}')" != "$version" ]; then
  command -v npm >/dev/null || { echo "Codex cannot be installed: there is no npm" >&2; exit 1; }
  mkdir -p "$home"
  npm install --prefix "$home" --no-fund --no-audit --save-exact "@openai/codex@$version" >&2
fi
"$codex" --version >&2
echo "$codex"
