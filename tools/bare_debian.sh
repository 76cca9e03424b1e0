#!/usr/bin/env bash
# README's commands on a machine with nothing on it: bare_debian.sh FOLDER root|user [COMMAND...]
#
# Makes a bare Debian 12 in FOLDER (debootstrap's minbase; kept, and not made again), puts a clone of this repository's
# HEAD into it and runs COMMANDs there, without nvcc: by default `./run demo` and `./run test`. As root nothing at all is
# installed beforehand; as user there are git, sudo and a user who may use it. Packages come from where this machine has
# its own: apt's sources, pip's configuration and local certificates are copied. Needs root and debootstrap.
set -euo pipefail

die() {
  printf 'bare_debian: %s\n' "$*" >&2
  exit 1
}
(($# >= 2)) || die "usage: bare_debian.sh FOLDER root|user [COMMAND...]"
((EUID == 0)) || die "chroot needs root"
command -v debootstrap >/dev/null || die "debootstrap was not found: apt-get install debootstrap"
folder=$(realpath -m "$1") who=$2
shift 2
(($# > 0)) || set -- './run demo' './run test'
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case $who in
  root) home=/root packages= ;;
  user) home=/home/user packages=git,sudo ;;
  *) die "'$who' is neither root nor user" ;;
esac
# Mounts are made in a namespace of their own and end with it.
if [[ -z ${BARE_DEBIAN_UNSHARED:-} ]]; then
  BARE_DEBIAN_UNSHARED=1 exec unshare --mount --pid --fork --kill-child "${BASH_SOURCE[0]}" "$folder" "$who" "$@"
fi

trap 'exit 130' INT TERM # the first process of a namespace would not hear them

if [[ ! -f $folder/.complete ]]; then
  rm -rf --one-file-system "$folder"
  mirror=$(apt-cache policy 2>/dev/null | awk '/bookworm\/main/ {print $2; exit}')
  debootstrap --variant=minbase ${packages:+--include="$packages"} bookworm "$folder" "${mirror:-http://deb.debian.org/debian}"
  touch "$folder/.complete"
fi
rm -f "$folder"/etc/apt/sources.list "$folder"/etc/apt/sources.list.d/*
for place in apt/sources.list apt/sources.list.d apt/keyrings apt/auth.conf.d pip.conf resolv.conf; do
  [[ ! -e /etc/$place ]] || cp -rTL "/etc/$place" "$folder/etc/$place"
done
apt-config dump | grep '^Acquire::.*";$' >"$folder/etc/apt/apt.conf.d/99host" || true
mkdir -p "$folder/usr/local/share/ca-certificates"
cp -L /usr/local/share/ca-certificates/*.crt "$folder/usr/local/share/ca-certificates/" 2>/dev/null || true

mount -t proc proc "$folder/proc"
mount --rbind /dev "$folder/dev"
mount -t tmpfs tmpfs "$folder/tmp"
if [[ $who == user ]] && ! chroot "$folder" id user >/dev/null 2>&1; then
  chroot "$folder" useradd --create-home --shell /bin/bash user
  echo 'user ALL=(ALL) NOPASSWD: ALL' >"$folder/etc/sudoers.d/user"
fi
rm -rf "$folder$home/sllmr"
git clone -q --no-hardlinks "file://$repository" "$folder$home/sllmr"
chroot "$folder" chown -R "$who:$who" "$home/sllmr"

cd /
for command in "$@"; do
  echo "== as $who: $command"
  start=$SECONDS
  chroot --userspec="$who:$who" "$folder" /usr/bin/env -i HOME="$home" USER="$who" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/bash -c "cd ~/sllmr && $command" </dev/null || die "failed as $who: $command"
  echo "== passed in $((SECONDS - start)) s"
done
