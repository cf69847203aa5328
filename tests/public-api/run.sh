#!/usr/bin/env bash
# Holds the public API of each published crate to the text that is written down beside this.
#
#   run.sh               fails where they differ, and shows how
#   run.sh --bless       writes the API down as it is
#   run.sh --installed   only says, by its exit code, whether the right Rust is here
#
# rustdoc's JSON is not stable, so one version of Rust is used: the default one, or rustup's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here=tests/public-api
version=1.95
target=${CARGO_TARGET_DIR:-target}

if ! rustc --version | grep -q "^rustc $version\."; then
  toolchain=$(rustup toolchain list 2>/dev/null | grep -om1 "^$version\.[0-9]*") || toolchain=
  if [ -z "$toolchain" ]; then
    echo "this needs Rust $version: rustup toolchain install $version.0" >&2
    exit 2
  fi
  export RUSTUP_TOOLCHAIN=$toolchain
fi
[ "${1:-}" != --installed ] || exit 0

packages=$(cargo metadata --no-deps --format-version 1 |
  cargo run --quiet -p tower-responses-testing --example packages -- published)
cargo build --quiet --locked --manifest-path $here/Cargo.toml --target-dir "$target/public-api"
mapfile -t flags < <(printf -- '--package=%s\n' $packages)
RUSTDOC=$PWD/$here/rustdoc.sh RUSTDOCFLAGS="-Z unstable-options --output-format json --cap-lints allow" \
  cargo doc --quiet --lib --no-deps --all-features "${flags[@]}"

changed=0
for package in $packages; do
  file=$here/$package.txt
  found=$("$target/public-api/debug/tower-responses-public-api" "$target/doc/${package//-/_}.json")
  if [ "${1:-}" = --bless ]; then
    printf '%s\n' "$found" > "$file"
  elif ! diff -u --label "$package, written down" --label "$package, now" "$file" - <<< "$found"; then
    changed=1
  fi
done
if [ "$changed" = 1 ]; then
  echo "The public API changed. If that is meant: $here/run.sh --bless, CHANGELOG.md, and a commit."
  exit 1
fi
