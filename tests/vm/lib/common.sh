# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# What tests/vm/vm and tests/vm/fetch share: the cache directory, its contents
# and the messages.

# The Debian series a guest can run.
KERNELS=(6.1 6.12 7.2 7.3)

# Those for which the kernel module can be built (kmod/), also for arm64.
# shellcheck disable=SC2034 # used by fetch
HEADERS=(6.12 7.2 7.3)

# QEMU 7.2's TCG corrupts guests (random double faults in cmpxchg16b); 10 does not.
QEMU_MIN=10

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# The cache holds 700 MB that outlive the tree: it is shared by all checkouts.
cache_dir() {
	if [ -n "${OOMX_VM_CACHE:-}" ]; then
		realpath -m "$OOMX_VM_CACHE"
	elif [ "$(id -u)" = 0 ] && mkdir -p /var/cache/oomx-vm 2>/dev/null && [ -w /var/cache/oomx-vm ]; then
		echo /var/cache/oomx-vm
	else
		realpath -m "${XDG_CACHE_HOME:-$HOME/.cache}/oomx-vm"
	fi
}

known_kernel() {
	local k
	for k in "${KERNELS[@]}"; do
		[ "$k" != "$1" ] || return 0
	done
	return 1
}

# Is it kernel-VERSION, headers-VERSION or headers-VERSION-arm64 of one that there is?
known_item() {
	local k
	case $1 in
	kernel-*) known_kernel "${1#kernel-}" ;;
	headers-*)
		for k in "${HEADERS[@]}"; do
			case $1 in headers-"$k" | headers-"$k"-arm64) return 0 ;; esac
		done
		return 1
		;;
	*) return 1 ;;
	esac
}

# True if the system's own QEMU is new enough.
system_qemu_ok() {
	local v
	command -v qemu-system-x86_64 >/dev/null || return 1
	v=$(qemu-system-x86_64 --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p') || return 1
	[ "${v:-0}" -ge "$QEMU_MIN" ]
}

# headers_release CACHE ITEM: the release that headers-VERSION or headers-VERSION-arm64 are for, by the
# kernel in the cache.
headers_release() {
	local series=${2#headers-} release
	release=$(cat "$1/kernel-${series%-arm64}/release" 2>/dev/null) || return 1
	case $series in *-arm64) release=${release/amd64/arm64} ;; esac
	echo "$release"
}

# have_item CACHE ITEM: ITEM is qemu, virtiofsd, or one of known_item's. An item is renamed into
# place when complete, so that its directory is proof enough.
have_item() {
	case $2 in
	qemu) [ -x "$1/qemu/usr/bin/qemu-system-x86_64" ] || system_qemu_ok ;;
	virtiofsd) virtiofsd_path "$1" >/dev/null ;;
	kernel-*) [ -s "$1/$2/vmlinuz" ] ;;
	headers-*) [ -s "$1/$2/release" ] && headers_release "$1" "$2" | cmp -s "$1/$2/release" - ;;
	*) return 1 ;;
	esac
}

# Where the daemon lies in the unpacked package.
virtiofsd_path() {
	local f
	for f in "$1"/virtiofsd/usr/lib/qemu/virtiofsd "$1"/virtiofsd/usr/libexec/virtiofsd; do
		if [ -x "$f" ]; then
			echo "$f"
			return 0
		fi
	done
	return 1
}

# The library path for programs unpacked under $1.
library_path() { echo "$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu"; }
