#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# share.sh WORK MODULES OUT VIRTIOFSD LIBRARY_PATH: assembles what the guest
# sees of the host out of bind mounts below WORK/share, read-only except OUT,
# and becomes the virtiofsd that serves it. Has to run in a mount namespace of
# its own, with which all of it vanishes.
set -eu

work=$1 modules=$2 out=$3 virtiofsd=$4 libraries=$5
share=$work/share

bind_ro() {
	mount --bind "$1" "$2"
	mount -o remount,bind,ro "$2"
}

mkdir -p "$share"/{root,modules,out,control,ro}
# Not recursive: the guest mounts its own /proc, /sys and /dev.
bind_ro / "$share/root"
bind_ro "$modules" "$share/modules"
mount --bind "$out" "$share/out"

# What to show besides the root, one path per line: always what was asked for
# by --ro, otherwise (the caller's directory and the source tree) only what the
# bound root lacks as it lies on another file system, or what the guest's own
# tmpfs would hide.
n=0
: >"$work/control/ro"
while read -r kind path; do
	[ -n "$path" ] || continue
	case $kind:$path/ in
	ro:* | *:/tmp/* | *:/run/*) ;;
	*) if [ "$share/root$path" -ef "$path" ]; then continue; fi ;;
	esac
	if [ -d "$path" ]; then mkdir "$share/ro/$n"; else : >"$share/ro/$n"; fi
	bind_ro "$path" "$share/ro/$n"
	echo "$n $path" >>"$work/control/ro"
	n=$((n + 1))
done <"$work/paths"
bind_ro "$work/control" "$share/control"

export LD_LIBRARY_PATH=$libraries
# Debian 12 has the C program, Debian 13 the Rust one, with other options.
if "$virtiofsd" --help 2>&1 | grep -q -e --shared-dir; then
	# An announced submount is an automount point, which overlayfs refuses as a layer.
	exec "$virtiofsd" --socket-path="$work/fs.sock" --shared-dir="$share" --no-announce-submounts \
		--cache=always --sandbox=chroot --inode-file-handles=never --log-level=error
fi
exec "$virtiofsd" -f --socket-path="$work/fs.sock" -o source="$share" \
	-o cache=always -o sandbox=chroot -o log_level=err
