#!/usr/bin/env bash
# ./dev run: builds Souvenir for development and opens its window.
#
# It opens in a home folder of its own, target/run/home, with a few documents in it, so that trying
# things touches nobody's files, keys or settings; --own-home uses your own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

own_home=
if [ "${1:-}" = --own-home ]; then
  own_home=1
  shift
fi

if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  echo "There is no display, so here is the tour: the same window, on a virtual one." >&2
  exec tools/tour.sh
fi

echo "Building Souvenir (unoptimised, for development)" >&2
cargo build --locked --bin souvenir --bin souvenir-monitor
program=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/souvenir

# The icon, from the checkout.
export XDG_DATA_DIRS=$PWD/data:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}
if [ -z "$own_home" ]; then
  home=$(realpath target)/run/home
  if [ ! -e "$home" ]; then
    mkdir -p -m 700 "$home/Documents/Pictures" "$home/.gnupg"
    chmod 700 "$home/.gnupg"
    cp README.md docs/*.md COPYING "$home/Documents/"
    cp data/icons/hicolor/scalable/apps/*.svg "$home/Documents/Pictures/"
  fi
  unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME GNUPGHOME
  export HOME=$home
  echo "Souvenir runs with a home folder of its own: $home (./dev run --own-home for yours)" >&2
fi
session=()
if [ -z "${DBUS_SESSION_BUS_ADDRESS:-}" ]; then session=(dbus-run-session --); fi
exec "${session[@]}" "$program" "$@"
