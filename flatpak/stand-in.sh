#!/usr/bin/env bash
# Stands in for the GNOME runtime, its SDK and the extension with Rust: stand-in.sh FOLDER TOOLCHAIN makes them from the
# Debian system that it runs in and a Rust toolchain, and installs them for the person that FLATPAK_USER_DIR belongs to.
# Nothing is downloaded. FOLDER keeps what they are made from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

folder=$1
toolchain=$2
readonly manifest=io.github.souvenir_backup.Souvenir.yml
# What GNOME 50 stands on.
readonly freedesktop=25.08
gnome=$(sed -n "s/^runtime-version: '\(.*\)'$/\1/p" "$manifest")
arch=$(flatpak --default-arch)
libraries=lib/$(gcc -print-multiarch)

stamp=$folder/stand-in-$gnome-$("$toolchain/bin/rustc" --version | cut -d' ' -f2)
[ ! -e "$stamp" ] || exit 0

work=$folder/stand-in
repository=$folder/repository
rm -rf "$work" "$repository"
mkdir -p "$work"/{sdk,platform}/{usr,files,var} "$work"/rust/files/bin

echo "Making a stand-in for the runtime of GNOME $gnome" >&2
cp -a /usr/. "$work/sdk/usr/"
cp -a /etc "$work/sdk/usr/etc"
(
  cd "$work/sdk/usr"
  find . -perm /6000 -type f -delete
  # What flatpak brings from the machine.
  rm -rf etc/{mtab,passwd,group,shadow,gshadow,resolv.conf,localtime,machine-id,hostname,hosts}*
  ln -sf ../sbin/ldconfig bin/ldconfig
  ln -sfn bash bin/sh
  mkdir -p lib/sdk
  rm -rf lib/systemd share/doc share/man share/info bin/flatpak* "$libraries"/libflatpak*
)
cp -al "$work/sdk/usr/." "$work/platform/usr/"
(
  cd "$work/platform/usr"
  rm -rf include lib/gcc libexec/gcc lib/sdk share/gir-1.0 share/pkgconfig "$libraries"/{pkgconfig,cmake} "$libraries"/*.a
  rm -f bin/*gcc* bin/*g++* bin/*cpp* bin/*-linux-gnu-*
)
cp -a "$toolchain"/bin/{rustc,cargo} "$work/rust/files/bin/"
cp -a "$toolchain/lib" "$work/rust/files/lib"

describe() {
  printf '[Runtime]\nname=%s\nruntime=org.gnome.Platform/%s/%s\nsdk=org.gnome.Sdk/%s/%s\n' "$1" "$arch" "$gnome" "$arch" "$gnome"
}
describe org.gnome.Platform >"$work/platform/metadata"
{
  describe org.gnome.Sdk
  printf '\n[Extension org.freedesktop.Sdk.Extension]\n'
  printf 'directory=lib/sdk\nversion=%s\nsubdirectories=true\nno-autodownload=true\n' "$freedesktop"
} >"$work/sdk/metadata"
readonly rust=org.freedesktop.Sdk.Extension.rust-stable
{
  printf '[Runtime]\nname=%s\nruntime=org.freedesktop.Platform/%s/%s\n' "$rust" "$arch" "$freedesktop"
  printf 'sdk=org.freedesktop.Sdk/%s/%s\n\n' "$arch" "$freedesktop"
  printf '[ExtensionOf]\nref=runtime/org.freedesktop.Sdk/%s/%s\n' "$arch" "$freedesktop"
} >"$work/rust/metadata"

ostree init --repo="$repository" --mode=bare-user-only
export_runtime() { flatpak build-export --runtime --disable-fsync "$repository" "$work/$1" "$2" >/dev/null; }
export_runtime sdk "$gnome"
export_runtime platform "$gnome"
export_runtime rust "$freedesktop"
rm -rf "$work"
flatpak build-update-repo "$repository" >/dev/null
flatpak --user remote-add --no-gpg-verify --if-not-exists stand-in "file://$repository"
flatpak --user install -y --noninteractive --or-update stand-in \
  "org.gnome.Platform//$gnome" "org.gnome.Sdk//$gnome" "$rust//$freedesktop" >/dev/null
touch "$stamp"
