#!/usr/bin/env bash
# make-duplicity.sh VERSION FOLDER: duplicity from the Python package index, in an environment of its own.
set -euo pipefail
version=$1
folder=$2

# Of its requirements only those that the tests reach are taken, and from the system: the list in
# full is 350 MB of storage services' libraries.
rm -rf "$folder"
{
  /usr/bin/python3 -m venv --system-site-packages "$folder"
  "$folder/bin/pip" install --disable-pip-version-check --no-deps "duplicity==$version"
  "$folder/bin/duplicity" --version
  touch "$folder/complete"
} >"$folder.log" 2>&1 || {
  cat "$folder.log" >&2
  rm -rf "$folder"
  exit 1
}
