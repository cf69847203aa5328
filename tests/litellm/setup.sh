#!/usr/bin/env bash
# Installs LiteLLM's proxy in a folder of its own and prints where. Needs python3; running it again
# changes nothing. With LITELLM_BIN set nothing is installed, and with TOWER_RESPONSES_INSTALL=0 neither:
# then it fails if that version is not there.
set -euo pipefail

version=1.106.2
home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/litellm
litellm=${LITELLM_BIN:-$home/$version/bin/litellm}

if [ ! -x "$litellm" ]; then
  [ -z "${LITELLM_BIN:-}" ] || { echo "there is no $litellm" >&2; exit 1; }
  [ "${TOWER_RESPONSES_INSTALL:-1}" != 0 ] || { echo "LiteLLM $version is not installed" >&2; exit 1; }
  command -v python3 >/dev/null || { echo "LiteLLM cannot be installed: there is no python3" >&2; exit 1; }
  rm -rf "$home"
  trap 'rm -rf "$home"' EXIT # what broke off half-way
  python3 -m venv "$home/$version" >&2
  "$home/$version/bin/python" -m pip install --quiet "litellm[proxy]==$version" >&2
  trap - EXIT
fi
echo "$litellm"
