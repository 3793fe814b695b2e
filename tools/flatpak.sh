#!/usr/bin/env bash
# ./dev flatpak [--installed]: builds the Flatpak, installs it for you, and tries it inside its sandbox; with
# --installed it is not built again. Pictures are left in target/flatpak/pictures.
#
# Where flatpak, flatpak-builder, GNOME's runtime and SDK and the extension with Rust are installed, they are used.
# Elsewhere all of it is made from a Debian 13 system, in the cache folder (4 GB).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
source "$here/tools/environment.sh"
package_list=$here/flatpak/packages.txt
cd "$here"

host_has_runtime() {
  local version arch
  have_all flatpak flatpak-builder dbus-run-session Xvfb openbox picom import xdotool gnome-keyring-daemon || return 1
  version=$(sed -n "s/^runtime-version: '\(.*\)'$/\1/p" flatpak/*.yml)
  flatpak info "org.gnome.Platform//$version" >/dev/null 2>&1 &&
    flatpak info "org.gnome.Sdk//$version" >/dev/null 2>&1 &&
    flatpak info org.freedesktop.Sdk.Extension.rust-stable >/dev/null 2>&1 &&
    /usr/bin/python3 -c 'import pyatspi' 2>/dev/null
}

# Enters the Debian system. A sandbox within needs the machine's own /proc; what a test leaves behind, it ends itself.
in_stand_in() {
  local name mounts=(
    --dir /var --dir /var/lib --dir /var/lib/flatpak --dir /var/cache --perms 1777 --tmpfs /var/tmp
    --dev-bind /dev /dev --bind /proc /proc --ro-bind /sys /sys --tmpfs /run --dir /run/sshd --dir /run/user
    --perms 1777 --tmpfs /tmp
    --bind "$folder/home" /home/me --bind "$folder" "$folder" --bind "$here" "$here"
    --ro-bind "$toolchain" "$toolchain"
  )
  for name in usr etc; do mounts+=(--ro-bind "$root/$name" "/$name"); done
  for name in bin sbin lib lib64; do mounts+=(--symlink "usr/$name" "/$name"); done
  if [ "$(id -u)" -ne 0 ]; then
    mounts+=(--ro-bind "$(identity passwd)" /etc/passwd --ro-bind "$(identity group)" /etc/group)
  fi
  env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 HOME=/home/me FLATPAK_USER_DIR="$folder/user" \
    XDG_RUNTIME_DIR="$folder/run" bwrap "${mounts[@]}" --chdir "$here" --die-with-parent "$@"
}

sources() {
  cargo fetch --quiet --locked
  /usr/bin/python3 flatpak/cargo_sources.py write target/flatpak/cargo-sources.json
  /usr/bin/python3 flatpak/cargo_sources.py seed "$1/state"
}

require_rust
if host_has_runtime; then
  folder=$here/target/flatpak
  mkdir -p "$folder"
  sources "$folder"
  export FLATPAK_USER_DIR=${FLATPAK_USER_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/flatpak}
  exec flatpak/try.sh "$folder" "$@"
fi

say "The runtime of GNOME is not installed here: a stand-in takes its place"
toolchain=$(rustc --print sysroot)
root=$cache_folder/root-$(root_key)
folder=$cache_folder/flatpak-${root##*/root-}
[ -e "$root" ] || make_root_once
touch "$root.used"
mkdir -p "$folder"/{home,state}
mkdir -p -m 700 "$folder/run"
# One at a time: checkouts share the stand-in, and what is installed beside it.
exec 8>"$folder/lock"
flock -n 8 || { say "Waiting for another ./dev flatpak"; flock 8; }
sources "$folder"
in_stand_in flatpak/stand-in.sh "$folder" "$toolchain"
in_stand_in flatpak/try.sh "$folder" "$@"
