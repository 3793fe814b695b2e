#!/bin/sh
# Installs what was built: install.sh FOLDER-WITH-THE-PROGRAMS PREFIX. Runs in the top folder of the sources.
set -eu
built=$1
prefix=$2
id=io.github.souvenir_backup.Souvenir

for program in souvenir souvenir-cli souvenir-monitor; do
  install -Dm755 "$built/$program" -t "$prefix/bin"
done

export LC_ALL=C.UTF-8
mkdir -p "$prefix/share/applications" "$prefix/share/metainfo" "$prefix/share/dbus-1/services"
msgfmt --desktop --template="data/$id.desktop" -d po -o "$prefix/share/applications/$id.desktop"
msgfmt --xml --template="data/$id.metainfo.xml" -d po -o "$prefix/share/metainfo/$id.metainfo.xml"
sed "s|^Exec=/usr/bin/|Exec=$prefix/bin/|" "data/$id.service" >"$prefix/share/dbus-1/services/$id.service"

install -Dm644 "data/$id.gschema.xml" -t "$prefix/share/glib-2.0/schemas"
glib-compile-schemas --strict "$prefix/share/glib-2.0/schemas"

(cd data/icons && find hicolor -type f) | while read -r icon; do
  install -Dm644 "data/icons/$icon" "$prefix/share/icons/$icon"
done

while read -r language; do
  case $language in '' | '#'*) continue ;; esac
  mkdir -p "$prefix/share/locale/$language/LC_MESSAGES"
  msgfmt -o "$prefix/share/locale/$language/LC_MESSAGES/souvenir.mo" "po/$language.po"
done <po/LINGUAS
