#!/usr/bin/env bash
# Starts vLLM on a free port (a minute on two cores, 3 GB), runs the tests that need it, stops it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

home=${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses/vllm
venv=${VLLM_VENV:-$home/venv}
log=$(mktemp)
port=$("$venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
[ -f "$home/model/config.json" ] || "$venv/bin/python" tests/vllm/make_model.py "$home/model"

export HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 TOKENIZERS_PARALLELISM=false
export VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=2
"$venv/bin/vllm" serve "$home/model" --served-model-name tiny --host 127.0.0.1 --port "$port" --dtype bfloat16 \
  --max-model-len 65536 --max-num-batched-tokens 65536 --max-num-seqs 8 --enforce-eager \
  --enable-auto-tool-choice --tool-call-parser hermes > "$log" 2>&1 < /dev/null &
server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -f "$log"
}
trap stop EXIT

for _ in $(seq 300); do
  kill -0 "$server" 2>/dev/null || { echo "vLLM ended:"; tail -20 "$log"; exit 1; }
  curl --silent --fail "http://127.0.0.1:$port/health" >/dev/null && break
  sleep 1
done
echo "vLLM listens on port $port"
VLLM_URL=http://127.0.0.1:$port cargo test --workspace --all-features --test vllm -- --ignored --test-threads 1
