#!/usr/bin/env bash
# Makes a Python with these packages in the cache folder and prints where: python.sh PACKAGE...
# With TOWER_RESPONSES_INSTALL=0 nothing is installed: then it fails if one of them is missing.
set -euo pipefail

home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/python
imports=$(printf 'import %s;' "$@")
if ! "$home/bin/python" -c "$imports" 2>/dev/null; then
  [ "${TOWER_RESPONSES_INSTALL:-1}" != 0 ] || { echo "not all of these are installed: $*" >&2; exit 1; }
  command -v python3 >/dev/null || { echo "Python packages cannot be installed: there is no python3" >&2; exit 1; }
  [ -x "$home/bin/python" ] || python3 -m venv "$home" >&2
  "$home/bin/python" -m pip install --quiet "$@" >&2
fi
echo "$home/bin/python"
