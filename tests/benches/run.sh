#!/usr/bin/env bash
# The benches of functions, one after the other, each with its allocations. No sockets: what a whole
# gateway takes, tests/compare/run.py says.
#
#   tests/benches/run.sh            prints them
#   tests/benches/run.sh --write    writes baselines.txt beside this file
#
# Times are of this machine; numbers of allocations are the same on every machine. Stores that are
# named in TOWER_RESPONSES_BENCH_STORES ("postgres://… redis://…") are measured as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

benches() {
  echo "$(date +%F), $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(rustc --version)"
  bench -p tower-responses-core --bench json
  bench -p tower-responses-core --bench sse
  bench -p tower-responses-call-restore --bench restore
  bench -p tower-responses-tool-normalize --bench normalize
  bench -p tower-responses-upstream-quirks --bench deltas
  bench -p tower-responses-response-store --all-features --bench hydrate
  bench -p tower-responses --bench stack
}

bench() {
  printf '\n$ cargo bench %s\n' "$*"
  # Divan pads its columns.
  cargo bench --quiet "$@" | sed 's/ *$//'
}

if [ "${1:-}" = --write ]; then
  benches > tests/benches/baselines.txt.new
  mv tests/benches/baselines.txt.new tests/benches/baselines.txt
else
  benches
fi
