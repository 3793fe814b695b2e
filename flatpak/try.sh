#!/usr/bin/env bash
# Runs where flatpak is: try.sh FOLDER [--installed]. Builds the Flatpak into FOLDER, installs it for the person that
# FLATPAK_USER_DIR belongs to, and tries it; with --installed the one that is installed is tried.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$1

if [ "${2:-}" != --installed ]; then
  echo "Building the Flatpak, optimised; this takes some minutes (the output is in $folder/build.log)" >&2
  started=$SECONDS
  dbus-run-session -- flatpak-builder --user --install --force-clean --disable-download --disable-updates \
    --disable-rofiles-fuse --state-dir="$folder/state" "$folder/build" \
    flatpak/io.github.souvenir_backup.Souvenir.yml >"$folder/build.log" 2>&1 || {
    tail -n 40 "$folder/build.log" >&2
    exit 1
  }
  rm -rf "$folder/build" "$folder/state/build"
  echo "Built and installed in $((SECONDS - started)) s" >&2
fi
exec /usr/bin/python3 tests/window/flatpak.py
