#!/usr/bin/env bash
# ./dev tour: drives the window through a first backup and restore; pictures are left in target/tour/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo "Building Souvenir (unoptimised, for development)" >&2
cargo build --locked --bin souvenir --bin souvenir-monitor
exec /usr/bin/python3 tests/window/tour.py "${CARGO_TARGET_DIR:-target}/debug/souvenir" "$@"
