#!/usr/bin/env bash
# ./dev screenshots: photographs every page, wide, narrow, light and dark; into target/screenshots/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
echo "Building Souvenir (unoptimised, for development)" >&2
cargo build --locked --bin souvenir --bin souvenir-monitor
exec /usr/bin/python3 tests/window/screenshots.py "${CARGO_TARGET_DIR:-target}/debug/souvenir" "$@"
