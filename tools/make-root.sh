#!/usr/bin/env bash
# Makes the Debian root that ./dev enters: make-root.sh RELEASE FOLDER, the package list on standard
# input. It is built beside its place and renamed when it is complete, so an interrupted run leaves
# nothing that could be taken for a root. The caller sees to it that only one runs at a time.
set -euo pipefail

release=$1
root=$2
packages=$(tr '\n' ',' | sed 's/,$//')
partial=$root.partial

say() { printf '%s\n' "$*" >&2; }

if [ "$(id -u)" -eq 0 ]; then mode=root; else mode=unshare; fi

# --- the two programs that make and enter a root --------------------------------------------------

needed=(mmdebstrap bubblewrap)
programs=(mmdebstrap bwrap)
if [ "$mode" = unshare ]; then
  needed+=(uidmap)
  programs+=(newuidmap)
fi
# Ubuntu knows Debian's releases, but trusts them only with this package.
if [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then
  needed+=(debian-archive-keyring)
  programs+=(/usr/share/keyrings/debian-archive-keyring.gpg)
fi

missing() {
  local name
  for name in "${programs[@]}"; do
    [ -e "$name" ] || command -v "$name" >/dev/null 2>&1 || return 0
  done
  return 1
}

if missing; then
  if [ "$mode" = root ] && command -v apt-get >/dev/null 2>&1; then
    say "Installing ${needed[*]}"
    export DEBIAN_FRONTEND=noninteractive
    install=(apt-get install -qq -y --no-install-recommends "${needed[@]}")
    "${install[@]}" >/dev/null 2>&1 || { apt-get update -qq >&2 && "${install[@]}" >/dev/null; }
  else
    say "This machine has no GTK 4.18, so a Debian 13 root is needed, and these to make it. Please type:"
    say "  sudo apt-get install ${needed[*]}"
    exit 1
  fi
fi

if [ "$mode" = unshare ]; then
  if ! grep -q "^$(id -un):" /etc/subuid || ! grep -q "^$(id -un):" /etc/subgid; then
    say "Your account has no range of subordinate users, which making a Debian root needs. Please type:"
    say "  sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
    exit 1
  fi
fi
if ! bwrap --ro-bind / / true 2>/dev/null; then
  say "bubblewrap may not make a user namespace on this machine. Please type:"
  if [ -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns ]; then
    say "  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
  else
    say "  sudo sysctl -w kernel.unprivileged_userns_clone=1"
  fi
  exit 1
fi

# --- the root -------------------------------------------------------------------------------------

# The host's own mirror, if the host is a Debian; else the one that mmdebstrap knows.
mirror=()
if grep -qs '^ID=debian$' /etc/os-release; then
  uri=$(cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p' | head -n 1)
  [ -n "$uri" ] || uri=$(sed -n 's/^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
  [ -z "$uri" ] || mirror=("$uri")
fi

# What mmdebstrap builds in must be open to the subordinate users, which a home folder is not. Where
# it is, is written down: so what a killed run leaves behind, the next one finds and removes.
remove_leftovers() {
  local note
  for note in "${root%/*}"/root-*.scratch; do
    [ -e "$note" ] || continue
    if [ "$mode" = unshare ]; then
      mmdebstrap --unshare-helper find "$(cat "$note")" -mindepth 1 -delete 2>/dev/null || true
    fi
    rm -rf --one-file-system "$(cat "$note")" "${note%.scratch}.partial" "$note"
  done
}
remove_leftovers
trap remove_leftovers EXIT
trap 'exit 130' INT TERM HUP
scratch=$(mktemp -d /var/tmp/souvenir-dev.XXXXXXXX)
echo "$scratch" >"$root.scratch"
chmod 1777 "$scratch"
mkdir -p "$partial"

say "Making a Debian 13 system with GTK, once for all checkouts (1.6 GB, a minute or two): $root"
started=$SECONDS
# As a tar stream, unpacked by us: so an ordinary user owns every file of it and can delete it again.
log=$root.log
# As root in a mount namespace of its own: what it mounts goes away with it, however it ends.
alone=()
if [ "$mode" = root ]; then alone=(unshare --mount); fi
TMPDIR=$scratch "${alone[@]}" mmdebstrap --mode="$mode" --variant=minbase --format=tar \
  --aptopt='APT::Install-Recommends "0"' --aptopt='Acquire::Retries "3"' \
  --dpkgopt=force-unsafe-io --dpkgopt=path-exclude='/usr/share/doc/*' \
  --dpkgopt=path-exclude='/usr/share/man/*' \
  --include="$packages" \
  --customize-hook="$(dirname "${BASH_SOURCE[0]}")/finish-root.sh" \
  "$release" - "${mirror[@]}" 2>"$log" |
  tar -x -p --no-same-owner --exclude='./dev/*' -C "$partial" 2>>"$log" || {
  say "It did not work; the whole output is in $log:"
  grep '^E: ' "$log" | cut -c1-300 >&2
  exit 1
}
mv "$partial" "$root"
say "Made in $((SECONDS - started)) s"

# Roots that nobody has entered for a month are those of package lists long gone.
find "${root%/*}" -maxdepth 1 -name 'root-*.used' -mtime +30 | while read -r stamp; do
  old=${stamp%.used}
  say "Removing $old, unused for a month"
  rm -rf --one-file-system "$old" "$old.used" "$old.log" "${old%/root-*}/tools-${old##*/root-}"
done
