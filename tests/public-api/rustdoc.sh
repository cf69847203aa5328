#!/usr/bin/env bash
# rustdoc that may use what is not stable. In the environment of cargo it would rebuild everything.
RUSTC_BOOTSTRAP=1 exec "${RUSTDOC_ITSELF:-rustdoc}" "$@"
