#!/usr/bin/env bash
# Makes a Python with these packages in the cache folder and prints where: python.sh PACKAGE...
set -euo pipefail

home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/python
imports=$(printf 'import %s;' "$@")
if ! "$home/bin/python" -c "$imports" 2>/dev/null; then
  [ -x "$home/bin/python" ] || python3 -m venv "$home" >&2
  "$home/bin/python" -m pip install --quiet "$@" >&2
fi
echo "$home/bin/python"
