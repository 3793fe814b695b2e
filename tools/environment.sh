# Sourced by ./dev. Finds or makes the place where Souvenir is built and tested, and enters it.
#
# A host that has everything is used as it is. Any other host gets a Debian 13 root in the cache folder,
# entered with bubblewrap: nothing of the host is exchanged, and all checkouts share it because its
# name is the hash of what it is made of.

readonly debian_release=trixie
readonly duplicity_version=3.2.1
readonly cargo_deny_version=0.20.2
readonly cache_folder=${XDG_CACHE_HOME:-$HOME/.cache}/souvenir-dev

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "./dev: $*"
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command where the libraries are; does not return.
enter_environment() {
  require_rust
  if [ -n "${SOUVENIR_DEV_ROOT:-}" ]; then
    exec "$@" # already inside
  elif host_is_complete; then
    export_tools "host"
    make_tools run_here
    run_here "$@"
    exit
  fi
  root=$cache_folder/root-$(root_key)
  [ -e "$root" ] || make_root_once
  touch "$root.used"
  export_tools "${root##*/root-}"
  make_tools run_in_root
  run_in_root "$@"
  exit
}

run_here() { "$@"; }

# Rust comes from the user, everywhere: one toolchain, one registry cache, one set of settings.
require_rust() {
  cargo_home=${CARGO_HOME:-$HOME/.cargo}
  rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
  PATH=$cargo_home/bin:$PATH
  local wanted found
  wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$here/Cargo.toml" 2>/dev/null || true)
  wanted=${wanted:-1.95}
  have rustc || fail "Rust is needed, version $wanted or newer, from rustup: https://rustup.rs"
  found=$(cd "$here" && rustc --version | cut -d' ' -f2)
  at_least "$found" "$wanted" || fail "Rust $found is too old: rustup toolchain install $wanted"
}

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# Does the host have all that the root would have?
host_is_complete() {
  have pkg-config &&
    pkg-config --atleast-version=4.18 gtk4 2>/dev/null &&
    pkg-config --atleast-version=1.7 libadwaita-1 2>/dev/null &&
    pkg-config --exists gpgme libssh2 openssl 2>/dev/null &&
    [ -e /usr/include/librsync.h ] &&
    have_all gcc gpg msgfmt xgettext appstreamcli desktop-file-validate glib-compile-schemas \
      Xvfb xdotool openbox import dbus-run-session gnome-keyring-daemon secret-tool gsettings \
      duplicity restic borg rdiff setfattr setfacl rsvg-convert pdftotext &&
    [ -x /usr/sbin/sshd ] &&
    [ -x /usr/sbin/smbd ] &&
    [ -x /usr/lib/systemd/systemd ] &&
    have_all ganesha.nfsd rpcbind faketime systemd-analyze &&
    [ -x /usr/libexec/gvfsd-dav ] &&
    [ -x /usr/libexec/at-spi-bus-launcher ] &&
    /usr/bin/python3 -c 'import pyatspi, venv' 2>/dev/null
}

have_all() {
  local name
  for name in "$@"; do have "$name" || return 1; done
}

# What a root is made of; another list makes another root.
package_list=$here/tools/packages.txt
packages() { sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$package_list"; }

# The name of a root says what is in it.
root_key() {
  { echo "$debian_release"; packages; cat "$here/tools/finish-root.sh"; } | sha256sum | cut -c1-16
}

make_root_once() {
  mkdir -p "$cache_folder"
  # One at a time; the second may find it made.
  (
    flock -n 9 || { say "Waiting for another ./dev that makes an environment"; flock 9; }
    [ -e "$root" ] || packages | bash "$here/tools/make-root.sh" "$debian_release" "$root"
  ) 9>"$cache_folder/lock" || exit 1
}

# Where the tools stand that no package brings, each in a folder named after its version.
export_tools() {
  tools_folder=$cache_folder/tools-$1
  export SOUVENIR_TEST_DUPLICITY_NEWEST=$tools_folder/duplicity-$duplicity_version/bin/duplicity
  export SOUVENIR_CARGO_DENY=$tools_folder/cargo-deny-$cargo_deny_version
}

# The newest duplicity, from the Python package index: Debian's is older than what people run.
make_tools() {
  local folder=${SOUVENIR_TEST_DUPLICITY_NEWEST%/bin/duplicity}
  [ ! -e "$folder/complete" ] || return 0
  mkdir -p "$tools_folder"
  (
    flock 9
    [ ! -e "$folder/complete" ] || exit 0
    say "Installing duplicity $duplicity_version for the tests"
    "$1" bash "$here/tools/make-duplicity.sh" "$duplicity_version" "$folder"
  ) 9>"$tools_folder/duplicity.lock" || exit 1
}

# Enters the root. Only the checkout, the caches, /tmp and, where there is one, the user's session
# are the host's; of the root nothing can be written, so that no checkout can spoil it for another.
run_in_root() {
  local mounts=(--dir /var --dir /var/lib --dir /var/cache) name
  for name in usr etc var/lib/dpkg var/cache/fontconfig; do
    mounts+=(--ro-bind "$root/$name" "/$name")
  done
  for name in bin sbin lib lib64; do mounts+=(--symlink "usr/$name" "/$name"); done
  mounts+=(
    --dev-bind /dev /dev --proc /proc --ro-bind /sys /sys
    --tmpfs /run --dir /run/sshd --dir /run/lock --symlink /run /var/run
    --dir /var/lib/xkb --dir /media --perms 1777 --tmpfs /var/tmp
    --bind /tmp /tmp
  )
  if [ -n "${own_home:-}" ]; then mounts+=(--bind "$HOME" "$HOME"); fi
  mounts+=(
    --ro-bind-try /etc/resolv.conf /etc/resolv.conf
    --ro-bind-try /etc/hosts /etc/hosts
    --bind "$cache_folder" "$cache_folder"
    --bind "$cargo_home" "$cargo_home"
    --ro-bind-try "$rustup_home" "$rustup_home"
    --bind "$here" "$here"
  )
  [ ! -e /etc/ssl/certs/ca-certificates.crt ] || mounts+=(--ro-bind /etc/ssl/certs /etc/ssl/certs)
  local settings
  for settings in "$HOME/.config/pip" "$HOME/.pip" "$HOME/.gitconfig" /etc/pip.conf; do
    [ ! -e "$settings" ] || mounts+=(--ro-bind "$settings" "$settings")
  done
  # Programs on the user's path that make the tests quicker, but are not needed.
  if have cargo-nextest; then
    mounts+=(--ro-bind "$(command -v cargo-nextest)" /run/tools/cargo-nextest)
  fi
  # The user's session, for a window on the real screen.
  if [ -n "${XDG_RUNTIME_DIR:-}" ] && [ -d "$XDG_RUNTIME_DIR" ]; then
    mounts+=(--bind "$XDG_RUNTIME_DIR" "$XDG_RUNTIME_DIR")
  fi
  if [ -n "${XAUTHORITY:-}" ] && [ -e "$XAUTHORITY" ]; then
    mounts+=(--ro-bind "$XAUTHORITY" "$XAUTHORITY")
  fi
  if [ "$(id -u)" -ne 0 ]; then
    mounts+=(--ro-bind "$(identity passwd)" /etc/passwd --ro-bind "$(identity group)" /etc/group)
  fi
  local folder=$PWD
  case $folder/ in "$here"/* | /tmp/*) ;; *) folder=$here ;; esac

  env -u LD_PRELOAD -u LD_LIBRARY_PATH -u PYTHONPATH -u PYTHONHOME -u GTK_MODULES -u GTK_PATH \
    -u GIO_EXTRA_MODULES -u LC_ALL -u LC_CTYPE -u TMPDIR \
    PATH="$cargo_home/bin:/run/tools:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" \
    CARGO_HOME="$cargo_home" RUSTUP_HOME="$rustup_home" LANG=C.UTF-8 SHELL=/bin/bash \
    SOUVENIR_DEV_ROOT="$root" debian_chroot=souvenir \
    bwrap --unshare-pid "${mounts[@]}" --chdir "$folder" bash -c "$and_nothing_stays" bash "$@"
}

# Runs a command and ends what it leaves behind: bubblewrap stays, and keeps the output open, for as
# long as there is a process inside, such as a gpg-agent.
readonly and_nothing_stays='trap : INT; "$@"; status=$?; kill -KILL -1 2>/dev/null; exit $status'

# The root's list of users or groups with the caller added: ssh and git refuse to work for a number
# without a name.
identity() {
  local file=$cache_folder/$1-$(id -u)-${root##*/root-} line
  case $1 in
    passwd) line="$(id -un):x:$(id -u):$(id -g)::$HOME:/bin/bash" ;;
    group) line="$(id -gn):x:$(id -g):" ;;
  esac
  if [ ! -e "$file" ]; then
    { cat "$root/etc/$1"; echo "$line"; } >"$file.$$"
    mv "$file.$$" "$file"
  fi
  echo "$file"
}
