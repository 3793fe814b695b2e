#!/usr/bin/env bash
# ./dev bench: the comparison with other programs; its table is left in target/bench/result.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cargo build --release --locked --no-default-features --bin souvenir-cli
exec /usr/bin/python3 bench/bench.py "$@"
