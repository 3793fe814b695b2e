#!/bin/sh
# The last step of making a root, run by mmdebstrap: finish-root.sh FOLDER. Together with the package
# list this is what a root consists of; a change here makes a new one.
set -e
for language in de_DE en_US; do
  chroot "$1" localedef -i $language -f UTF-8 $language.UTF-8
done
# A session bus needs the machine to have an id.
chroot "$1" dbus-uuidgen >"$1/etc/machine-id"
chroot "$1" fc-cache -s
# ./dev lays the host's own over these, so they must be there, as files.
for file in hosts resolv.conf pip.conf; do
  rm -f "$1/etc/$file"
  : >"$1/etc/$file"
done
