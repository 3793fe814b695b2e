#!/usr/bin/env bash
# ./dev bench: the comparison with other programs; its table is left in target/bench/result.md.
# ./dev bench limits: what very many files and a very large one need.
# ./dev bench signatures: which blocks to sign files with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1:-} in
  signatures)
    shift
    [ $# -gt 0 ] || { /usr/bin/python3 -c 'import sys; sys.path.insert(0, "bench"); import tree; tree.make("target/bench/tree")'; set -- "$PWD/target/bench/tree"; }
    exec cargo bench --quiet --locked --no-default-features --bench signatures -- "$@"
    ;;
esac
cargo build --release --locked --no-default-features --bin souvenir-cli
case ${1:-} in
  limits)
    shift
    exec /usr/bin/python3 bench/limits.py "$@"
    ;;
  *) exec /usr/bin/python3 bench/bench.py "$@" ;;
esac
