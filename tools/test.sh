#!/usr/bin/env bash
# ./dev test [--all] [STEP…]: every check of CI, a line a step; a step that fails stops the run with its
# output. The tests come last, so that the closing lines count them. With --all, tests that try many
# moments, seeds or sizes try many more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly logs=target/checks
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

all_steps=(fmt desktop-files translations scripts deny clippy clippy-no-gui test-no-gui test)

# --- the steps ------------------------------------------------------------------------------------

step_fmt() { cargo fmt --check -- --color never; }

step_desktop-files() {
  desktop-file-validate data/*.desktop
  appstreamcli validate --no-net data/*.metainfo.xml
  glib-compile-schemas --strict --dry-run data
  xmllint --noout data/icons/hicolor/*/apps/*.svg
  # The program and its manual are not in their places here.
  local units
  units=$(mktemp -d)
  sed 's|^ExecStart=/usr/bin/souvenir-cli|ExecStart=/bin/true|' data/systemd/souvenir.service >"$units/souvenir.service"
  cp data/systemd/souvenir.timer "$units"
  XDG_RUNTIME_DIR=$units systemd-analyze --user --man=no verify "$units"/souvenir.*
  rm -r "$units"
}

step_translations() { /usr/bin/python3 tools/po.py check; }

step_scripts() {
  bash -n dev .ci/run tools/*.sh flatpak/*.sh
  /usr/bin/python3 -c '
import ast, pathlib, sys
for name in sys.argv[1:]:
    ast.parse(pathlib.Path(name).read_text(), name)' tools/*.py tests/window/*.py bench/*.py flatpak/*.py
  /usr/bin/python3 flatpak/cargo_sources.py check
}

step_deny() {
  local deny=$SOUVENIR_CARGO_DENY/bin/cargo-deny
  # Without optimisation it is built in a fifth of the time, and takes two seconds to run.
  [ -x "$deny" ] || CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=target/tools cargo install --quiet --debug \
    --locked --root "$SOUVENIR_CARGO_DENY" "cargo-deny@${SOUVENIR_CARGO_DENY##*-}"
  rm -rf target/tools
  "$deny" --log-level error --locked check bans licenses sources
  if timeout 60 "$deny" --log-level error fetch db >/dev/null 2>&1; then
    "$deny" --log-level error --locked check --disable-fetch advisories
  else
    echo "note: without advisories, their database is out of reach"
  fi
}

step_clippy() { cargo clippy --locked --all-targets -- -D warnings; }
step_clippy-no-gui() { cargo clippy --locked --all-targets --no-default-features -- -D warnings; }

# The wall between engine and window: without the feature there is no GTK to reach for.
step_test-no-gui() {
  cargo test --quiet --locked --doc --no-default-features
  run_tests --no-default-features
}
# What is the same without the window has been tested by then.
step_test() { run_tests --lib --bins --test monitor --test storage_network --test window; }

run_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    local profile=default
    if [ -n "${SOUVENIR_TEST_ALL:-}" ]; then profile=all; fi
    cargo nextest run --locked --no-fail-fast --profile "$profile" "$@"
  else
    cargo test --locked --no-fail-fast "$@"
  fi
}

# --- running them ---------------------------------------------------------------------------------

# The output of tests that come last is shown as it comes, any other only when it fails; a line
# that begins with "note:" is shown always. Tests that come last have the last word: they are counted.
run_step() {
  local name=$1 started=$SECONDS status=0 log=$logs/$1.log note
  printf '%-14s ' "$name"
  # Not in a condition, where bash would go on after an error inside the step.
  if [ "$2" = shown ]; then
    echo
    set +e
    (set -e; "step_$name") 2>&1 | tee "$log"
  else
    set +e
    (set -e; "step_$name") >"$log" 2>&1
  fi
  status=$?
  set -e
  if [ "$status" -ne 0 ]; then
    printf 'FAILED after %d s\n' $((SECONDS - started))
    if [ "$2" = hidden ]; then cat "$log"; fi
    echo "./dev test: the step “$name” failed (its output is in $log)"
    exit 1
  fi
  note=$(sed -n 's/^note: //p' "$log")
  if [ "$2" = hidden ]; then printf 'ok %4d s%s\n' $((SECONDS - started)) "${note:+  ($note)}"; fi
}

mkdir -p "$logs"
if [ "${1:-}" = --all ]; then
  export SOUVENIR_TEST_ALL=1
  shift
fi
if [ $# -eq 0 ]; then set -- "${all_steps[@]}"; fi
for name in "$@"; do
  declare -F "step_$name" >/dev/null || {
    echo "./dev test: there is no step “$name”; there are: ${all_steps[*]}" >&2
    exit 2
  }
done
while [ $# -gt 1 ]; do
  run_step "$1" hidden
  shift
done
case $1 in
  test*) run_step "$1" shown ;;
  *) run_step "$1" hidden ;;
esac
