#!/usr/bin/env bash
# All tests: style, lints, documentation, every crate together and alone, and the real programs.
#
#   tests/run.sh               installs what is missing, says so before, and runs everything
#   tests/run.sh --no-install  runs what can be run with what is there; so does TOWER_RESPONSES_INSTALL=0
#   tests/run.sh --plan        only says what is missing
#
# Real Codex needs node with npm, OpenAI's SDK and LiteLLM's proxy python3 (all are installed in a
# cache folder), the stores need redis-server, postgres and openssl (the first two are installed with
# apt-get, by root alone). What is missing is skipped and named at the end; with CI set it is a
# failure. A real vLLM is used if tests/vllm/setup.sh was run, or if TOWER_RESPONSES_VLLM=1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/steps.sh

case ${1:-} in
  "" | --plan) ;;
  --no-install) export TOWER_RESPONSES_INSTALL=0 ;;
  --help | -h)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit
    ;;
  *)
    echo "tests/run.sh: what is $1? --no-install, --plan or --help" >&2
    exit 2
    ;;
esac

read -ra versions < <(tests/codex/setup.sh --versions)

# A program, on the PATH or where Debian puts it.
have() {
  command -v "$1" >/dev/null || ls /usr/lib/postgresql/*/bin/"$1" >/dev/null 2>&1
}

can_install() {
  case $1 in
    apt-get) [ "$(id -u)" = 0 ] && have apt-get ;;
    *) have "$1" ;;
  esac
}

# What is not here, how much it is, and with what it is installed.
missing() {
  local version
  local -x TOWER_RESPONSES_INSTALL=0
  have redis-server || echo "Redis|7 MB|apt-get"
  have postgres || echo "PostgreSQL|170 MB|apt-get"
  [ ! -d examples/pingora ] || have cmake || echo "cmake|42 MB|apt-get"
  for version in "${versions[@]}"; do
    tests/codex/setup.sh "$version" >/dev/null 2>&1 || echo "Codex $version|420 MB|npm"
  done
  tests/python.sh openai websockets >/dev/null 2>&1 || echo "OpenAI's SDK|75 MB|python3"
  tests/litellm/setup.sh >/dev/null 2>&1 || echo "LiteLLM's proxy|750 MB|python3"
}

announce() {
  local list name size tool
  echo "All tests take about a quarter of an hour on two cores, and the first time, when everything is"
  echo "built, twice that and some GB in ${CARGO_TARGET_DIR:-target}/."
  list=$(missing)
  if [ -z "$list" ]; then
    echo "What they use is here."
    return
  fi
  if [ "${TOWER_RESPONSES_INSTALL:-1}" = 0 ]; then
    echo "Not here, and therefore left out:"
  else
    echo "Not here, and therefore installed (apt-get for the whole machine, all else below"
    echo "${XDG_CACHE_HOME:-$HOME/.cache}/tower-responses); tests/run.sh --no-install leaves it out:"
  fi
  while IFS='|' read -r name size tool; do
    if [ "${TOWER_RESPONSES_INSTALL:-1}" = 0 ] || can_install "$tool"; then
      printf '  %-16s %6s, %s\n' "$name" "$size" "$tool"
    else
      printf '  %-16s cannot be: %s\n' "$name" "$([ "$tool" = apt-get ] && echo "that takes root and apt-get" || echo "there is no $tool")"
    fi
  done <<< "$list"
}
announce
[ "${1:-}" != --plan ] || exit 0

# Features unify in a workspace, so each crate is checked by itself too: without features, with each
# one of them, and as it comes.
each_alone() {
  cargo metadata --no-deps --format-version 1 |
    cargo run --quiet -p tower-responses-testing --example packages -- alone |
    while read -r flags; do
      echo "cargo check $flags"
      # shellcheck disable=SC2086
      cargo check --quiet $flags
    done
}

workspace_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --all-features --no-fail-fast
  else
    cargo test --workspace --all-features --all-targets --no-fail-fast
  fi
}

# What runs the real Codex, with the one that is named.
tests_with_codex() {
  local -x CODEX_BIN=$1
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --all-features --no-fail-fast --test codex
  else
    cargo test --workspace --all-features --no-fail-fast --test codex
  fi
}

install() {
  [ "${TOWER_RESPONSES_INSTALL:-1}" != 0 ] && can_install apt-get || return 0
  apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { apt-get update >/dev/null && apt-get install -y --no-install-recommends "$@" >/dev/null; } || true
}

have redis-server || install redis-server
have postgres || install postgresql
for server in redis-server postgres openssl; do
  have "$server" || skip "tests with $server" "it is not installed"
done

# Whoever names a Codex wants that one and no other.
[ -z "${CODEX_BIN:-}" ] || versions=("named by CODEX_BIN")
older_codex=()
if CODEX_BIN=$(tests/codex/setup.sh); then
  export CODEX_BIN TOWER_RESPONSES_REAL_CLIENTS=1
  for version in "${versions[@]:1}"; do
    if other=$(env -u CODEX_BIN tests/codex/setup.sh "$version"); then
      older_codex+=("$version=$other")
    else
      skip "tests with Codex $version" "it is not installed (tests/codex/setup.sh)"
    fi
  done
else
  unset CODEX_BIN
  skip "tests with the real Codex" "it is not installed (tests/codex/setup.sh)"
fi

if OPENAI_PYTHON=$(tests/python.sh openai websockets); then
  export OPENAI_PYTHON
else
  unset OPENAI_PYTHON
  skip "tests with Python clients" "they are not installed (tests/python.sh)"
fi

if LITELLM_BIN=$(tests/litellm/setup.sh); then
  export LITELLM_BIN
else
  unset LITELLM_BIN
  skip "LiteLLM's proxy" "it is not installed (tests/litellm/setup.sh)"
fi

websockets_client() {
  cargo build --quiet -p tower-responses-websocket --example proxy
  "$OPENAI_PYTHON" layers/websocket/tests/python/client.py "${CARGO_TARGET_DIR:-target}/debug/examples/proxy"
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --quiet
step "tests of all crates${CODEX_BIN:+, with real Codex ${versions[0]}}" workspace_tests
for codex in ${older_codex[@]+"${older_codex[@]}"}; do
  step "tests with real Codex ${codex%%=*}" tests_with_codex "${codex#*=}"
done
[ -z "${OPENAI_PYTHON:-}" ] || step "WebSocket with a client in Python" websockets_client
[ -z "${LITELLM_BIN:-}" ] || step "before LiteLLM's proxy: works, and not without us" \
  cargo test --workspace --all-features --test litellm -- --ignored
step "examples in the documentation" cargo test --workspace --all-features --doc --quiet
step "each crate alone" each_alone
if tests/public-api/run.sh --installed; then
  step "public API as it is written down" tests/public-api/run.sh
else
  skip "public API" "it is read from the JSON of one version of rustdoc, which is not here"
fi

if [ -d examples/pingora ]; then
  have cmake || install cmake
  if have cmake; then
    step "pingora example" cargo test --manifest-path examples/pingora/Cargo.toml
  else
    skip "pingora example" "it needs cmake"
  fi
fi

if [ -x tests/vllm/run.sh ]; then
  if [ "${TOWER_RESPONSES_VLLM:-}" = 1 ]; then
    tests/vllm/setup.sh
  fi
  if tests/vllm/setup.sh --installed; then
    step "real vLLM" tests/vllm/run.sh
  else
    skip "real vLLM" "it is not installed; tests/vllm/setup.sh does that (7 GB)" optional
  fi
fi

finish
