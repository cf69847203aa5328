# Steps that say what ran, what was skipped and why. Sourced by tests/run.sh and .ci/run.
#
#   step NAME COMMAND...   runs it; goes on if it fails
#   skip NAME WHY          says so; a failure if REQUIRED is set
#   finish                 the summary; fails if a step did
#
# Numbers of tests are those that the runners printed.

REQUIRED=${CI:-}
STEPS=${STEPS:-}   # a file that is shared by scripts which call each other
if [ -z "$STEPS" ]; then
  STEPS=$(mktemp)
  STEPS_OWNER=$$
  trap 'rm -f "$STEPS"' EXIT
fi
export STEPS

step() {
  local name=$1 log start result passed failed ignored
  shift
  log=$(mktemp)
  start=$SECONDS
  printf '\n=== %s\n' "$name"
  # Not in an `if`: there, a function would go on after an error.
  set +e
  (set -e; "$@") 2>&1 | tee "$log"
  result=${PIPESTATUS[0]}
  set -e
  [ "$result" = 0 ] && result=ok || result=FAILED
  read -r passed failed ignored < <(count "$log")
  [ "$result" = ok ] || [ "$failed" -gt 0 ] || failed=1
  printf '%s\t%s\t%s\t%s\t%s s%s\n' "$result" "$name" "$passed" "$failed" $((SECONDS - start)) \
    "$([ "$ignored" = 0 ] || echo ", $ignored tests ignored or skipped")" >> "$STEPS"
  rm -f "$log"
}

skip() {
  local result=skipped failed=0
  [ -z "$REQUIRED" ] || [ "${3:-}" = optional ] || { result=FAILED failed=1; }
  printf '\n=== %s: SKIPPED, %s\n' "$1" "$2"
  printf '%s\t%s\t0\t%s\tnot run: %s\n' "$result" "$1" "$failed" "$2" >> "$STEPS"
}

# Tests that passed and that failed, from what cargo test, nextest and the Codex rig print.
count() {
  sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
    /^ *Summary \[.*tests? run:/ || /^test result:/ || /^[0-9]+ passed, [0-9]+ failed/ {
      line = $0
      if (match(line, /[0-9]+ passed/)) passed += substr(line, RSTART, RLENGTH)
      if (match(line, /[0-9]+ failed/)) failed += substr(line, RSTART, RLENGTH)
      if (match(line, /[0-9]+ timed out/)) failed += substr(line, RSTART, RLENGTH)
      if (match(line, /[0-9]+ (skipped|ignored)/)) ignored += substr(line, RSTART, RLENGTH)
    }
    END { print passed + 0, failed + 0, ignored + 0 }'
}

finish() {
  [ "${STEPS_OWNER:-}" = $$ ] || { ! grep -q '^FAILED' "$STEPS"; return; }
  printf '\n=== Summary\n'
  awk -F'\t' '
    { tests = $3 + $4 ? $3 " passed, " $4 " failed" : ""
      printf "%-8s %-52s %-24s %s\n", $1, $2, tests, $5
      passed += $3; failed += $4 }
    END { printf "\n%d passed, %d failed\n", passed, failed }' "$STEPS"
  printf 'It took %d min.\n' $(((SECONDS + 59) / 60))
  ! grep -q '^FAILED' "$STEPS"
}
