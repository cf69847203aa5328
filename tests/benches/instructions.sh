#!/usr/bin/env bash
# How many instructions a request takes, from the client's bytes to the last one of the answer. What
# the rows are stands in instructions/main.rs. callgrind counts, so figures are the same in every run
# (within 0.5 %), however busy the machine is; another compiler or another kind of processor has
# figures of its own.
#
#   tests/benches/instructions.sh [WORD…]            prints them beside those in instructions.txt
#   tests/benches/instructions.sh --check [WORD…]    the same; fails where one has grown by more than 1 %
#   tests/benches/instructions.sh --write            writes instructions.txt beside this file
#   tests/benches/instructions.sh --profile WORD…    where the instructions of one row go
#
# WORDs choose the rows that have all of them. INSTRUCTIONS_TOLERANCE is another tolerance, in
# percent. It takes three minutes at most once it is built, with the profile of benches: a release
# with thin LTO and one unit of code.
#
# Exit code: 0, 1 where something has grown or went wrong, 2 where there is no valgrind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
file=tests/benches/instructions.txt

action=print
case "${1:-}" in
  --check | --write | --profile) action=${1#--}; shift ;;
  --*) sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 1 ;;
esac

if ! command -v valgrind >/dev/null; then
  echo "valgrind is not installed, and without it no instructions are counted" >&2
  exit 2
fi

build() {
  cargo bench --quiet --features gateway --bench instructions --no-run --message-format json-render-diagnostics |
    sed -n 's/.*"executable":"\([^"]*\/instructions-[^"]*\)".*/\1/p'
}

# Each row, in a process of its own, and what one of its requests takes, tab between.
measure() {
  "$program" --list "$@" | while read -r count name; do
    # shellcheck disable=SC2086
    valgrind --quiet --tool=callgrind --callgrind-out-file="$out/row" \
      --zero-before=instructions::measured --dump-after=instructions::measured "$program" $name >/dev/null
    awk -v name="$name" -v count="$count" '$1 == "totals:" { printf "%s\t%.0f\n", name, $2 / count }' "$out/row.1"
  done
}

compare() {
  awk -F'\t' -v tolerance="${INSTRUCTIONS_TOLERANCE:-1}" -v check="$action" '
    FNR == NR { before[$1] = $2; next }
    FNR == 1 { printf "%-32s %12s %12s %8s\n", "", "before", "now", "ratio" }
    !($1 in before) { printf "%-32s %12s %12d\n", $1, "", $2; next }
    { rows++
      ratio = $2 / before[$1]
      grown = ratio > 1 + tolerance / 100
      failed += grown
      printf "%-32s %12d %12d %8.4f%s\n", $1, before[$1], $2, ratio, grown ? "  more than it may" : "" }
    END { if (!rows) print "there is no such row"
      exit !rows || check == "check" && failed > 0 }' "$file" -
}

program=$(build)
[ -n "$program" ]
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

case $action in
  write)
    { printf '# Instructions of a request. %s, %s, %s\n' \
        "$(rustc --version)" "$(valgrind --version)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
      measure; } > "$out/figures"
    mv "$out/figures" "$file" ;;
  profile)
    measure "$@"
    # What called the counted part counts as all of it.
    callgrind_annotate --auto=no --threshold=100 "$out/row.1" |
      sed -n '/^ *[0-9,]* (/{/(100\.0%)/d; s/ \[[^]]*\]$//; s/\/rustc\/[0-9a-f]*\///; p}' | awk 'NR <= 60' ;;
  *)
    measure "$@" | compare ;;
esac
