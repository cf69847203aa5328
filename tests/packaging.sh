#!/usr/bin/env bash
# What a release needs beside tests: every crate can be packaged, the dependencies are such as may
# be used (.deny.toml), and the oldest versions that are asked for are enough.
#
# Advisories are a matter of the day and need the network: cargo deny check advisories.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/steps.sh

# Without building what was packaged: each crate is checked by itself in tests/run.sh.
packages() {
  cargo package --workspace --exclude tower-responses-testing --no-verify --allow-dirty --quiet
}

# Cargo can choose the oldest versions only as an unstable feature. Done in a copy, since it writes
# to Cargo.lock.
minimal_versions() {
  local copy target
  target=$(mkdir -p "${CARGO_TARGET_DIR:-target}/minimal" && cd "${CARGO_TARGET_DIR:-target}/minimal" && pwd)
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' RETURN
  cp -R Cargo.toml src layers examples tests README.md LICENSE-* "$copy"
  cd "$copy"
  RUSTC_BOOTSTRAP=1 cargo generate-lockfile -Z direct-minimal-versions --quiet
  CARGO_TARGET_DIR=$target cargo check --locked --workspace --all-features --quiet
}

step "packages" packages
if [ -z "${CI:-}" ]; then
  step "oldest versions of dependencies" minimal_versions
else
  skip "oldest versions of dependencies" "it builds everything once more; tests/packaging.sh without CI set does it" optional
fi
if cargo deny --version >/dev/null 2>&1; then
  step "licences, duplicates and sources" cargo deny --config .deny.toml check licenses bans sources
else
  skip "licences, duplicates and sources" "cargo-deny is not installed; cargo install --locked cargo-deny does that" optional
fi

finish
