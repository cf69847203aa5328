#!/usr/bin/env bash
# All tests: style, lints, documentation, every crate together and alone, and the real programs.
#
# Real Codex needs node with npm, OpenAI's SDK and LiteLLM's proxy python3 (all are installed in a
# cache folder), the stores need redis-server, postgres and openssl. What is missing is skipped and
# named at the end; with CI set it is a failure. A real vLLM is used if tests/vllm/setup.sh was run,
# or if TOWER_RESPONSES_VLLM=1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/steps.sh

# Features unify in a workspace, so each crate is checked by itself too: without features, with each
# one of them, and as it comes.
each_alone() {
  cargo metadata --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    for feature in [None, "", *sorted(set(package["features"]) - {"default"})]:
        if feature != "" or "default" in package["features"]:
            print("-p", package["name"], "" if feature is None else "--no-default-features --features=" + feature)' |
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

# A program, on the PATH or where Debian puts it.
have() {
  command -v "$1" >/dev/null || ls /usr/lib/postgresql/*/bin/"$1" >/dev/null 2>&1
}

install() {
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
    { apt-get update >/dev/null && apt-get install -y --no-install-recommends "$@" >/dev/null; } || true
}

have redis-server || install redis-server
have postgres || install postgresql
for server in redis-server postgres openssl; do
  have "$server" || skip "tests with $server" "it is not installed"
done

if CODEX_BIN=$(tests/codex/setup.sh); then
  export CODEX_BIN TOWER_RESPONSES_REAL_CLIENTS=1
else
  unset CODEX_BIN
  skip "tests with the real Codex" "tests/codex/setup.sh could not install it"
fi

if OPENAI_PYTHON=$(tests/python.sh openai websockets); then
  export OPENAI_PYTHON
else
  unset OPENAI_PYTHON
  skip "tests with Python clients" "tests/python.sh could not install them"
fi

if LITELLM_BIN=$(tests/litellm/setup.sh); then
  export LITELLM_BIN
else
  unset LITELLM_BIN
  skip "LiteLLM's proxy" "tests/litellm/setup.sh could not install it"
fi

websockets_client() {
  cargo build --quiet -p tower-responses-websocket --example proxy
  "$OPENAI_PYTHON" layers/websocket/tests/python/client.py "${CARGO_TARGET_DIR:-target}/debug/examples/proxy"
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --quiet
step "tests of all crates${CODEX_BIN:+, with real Codex}" workspace_tests
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
