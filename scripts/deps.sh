#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Installs what building and testing oomx needs on Debian 12 and 13, and only
# what is missing. "deps.sh --check" only prints what is missing: exit status 1
# if anything is, 0 if nothing is; it needs neither network nor root.
set -eu -o pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091 # found by path at run time
. "$here/../tests/vm/lib/apt-source.sh"

# The oldest clang that compiles the BPF programs; the one installed if none is there.
CLANG_MIN=16
CLANG_WANTED=19
LIBBPF_MIN=1.4
BPFTOOL_MIN=7.4
SOURCES_FILE=$OOMX_APT_DIR/sources.list.d/oomx-backports.sources

say() { printf 'deps: %s\n' "$*"; }
die() {
	printf 'deps: error: %s\n' "$*" >&2
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

usage() {
	cat <<-'END'
		usage: scripts/deps.sh [--check | --help]

		Installs the missing packages for building and testing oomx (Debian 12
		and 13, needs root). On Debian 12 the backports suite of the machine's
		own mirror is added as sources.list.d/oomx-backports.sources.

		  --check   only print what is missing; exit status 1 if anything is
	END
}

# True if version $1 is at least $2.
version_ge() { dpkg --compare-versions "$1" ge "$2"; }

# The newest clang major version, or nothing.
installed_clang() {
	local dir v best=0
	for dir in /usr/lib/llvm-*; do
		v=${dir##*-}
		[[ $v =~ ^[0-9]+$ ]] || continue
		if [ "$v" -gt "$best" ] && [ -x "$dir/bin/clang" ]; then best=$v; fi
	done
	if [ "$best" -ge "$CLANG_MIN" ]; then echo "$best"; fi
}

pkgconfig_ok() { # MODULE [MINIMUM]
	have pkg-config || return 1
	if [ $# -gt 1 ]; then
		pkg-config --atleast-version="$2" "$1" 2>/dev/null
	else
		pkg-config --exists "$1" 2>/dev/null
	fi
}

bpftool_ok() {
	local v
	have bpftool || return 1
	# "bpftool v7.5.0" on the first line.
	v=$(bpftool version 2>/dev/null | sed -n '1s/^bpftool v//p') || return 1
	[ -n "$v" ] && version_ge "$v" "$BPFTOOL_MIN"
}

# Prints "PACKAGE<tab>what is missing" for each missing thing. PACKAGE is
# "clang" for the compiler, whose version is chosen when installing.
missing() {
	local cmd pkg mod
	[ -n "$(installed_clang)" ] || printf 'clang\tclang >= %s\n' "$CLANG_MIN"
	bpftool_ok || printf 'bpftool\tbpftool >= %s\n' "$BPFTOOL_MIN"
	pkgconfig_ok libbpf "$LIBBPF_MIN" || printf 'libbpf-dev\tlibbpf-dev >= %s\n' "$LIBBPF_MIN"
	while read -r mod pkg; do
		pkgconfig_ok "$mod" || printf '%s\t%s (pkg-config module %s)\n' "$pkg" "$pkg" "$mod"
	done <<-'END'
		libelf libelf-dev
		zlib zlib1g-dev
		jansson libjansson-dev
		yaml-0.1 libyaml-dev
		nettle nettle-dev
		cmocka libcmocka-dev
	END
	[ -e /usr/include/stdio.h ] || printf 'libc6-dev\tlibc6-dev\n'
	while read -r cmd pkg; do
		have "$cmd" || printf '%s\t%s (command %s)\n' "$pkg" "$pkg" "$cmd"
	done <<-'END'
		gcc gcc
		make make
		pkg-config pkg-config
		git git
		cppcheck cppcheck
		shellcheck shellcheck
		zstd zstd
		xz xz-utils
		modprobe kmod
		cpio cpio
		unshare util-linux
		flock util-linux
	END
	# The guests need the statically linked one, whatever is called busybox.
	dpkg-query -W -f '${Status}' busybox-static 2>/dev/null | grep -q ' installed$' ||
		printf 'busybox-static\tbusybox-static\n'
	[ -e "$OOMX_KEYRING" ] || printf 'debian-archive-keyring\tdebian-archive-keyring\n'
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

# Runs a step silently, and shows all of its output if it fails.
quietly() {
	local log
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# Debian 12 has libbpf 1.1 and bpftool 7.1 only; its backports have what is needed.
add_backports() {
	local codename=$1 uri key
	if apt_source "$codename-backports" >/dev/null; then return 0; fi
	read -r uri key <<<"$(apt_source "$codename")" || true
	[ -n "$uri" ] || die "no apt source serves suite $codename main: add one under $OOMX_APT_DIR, then run this again"
	say "adding suite $codename-backports as $SOURCES_FILE"
	cat >"$SOURCES_FILE.new" <<-END
		# Added by oomx's scripts/deps.sh: libbpf and bpftool are too old in $codename.
		Types: deb
		URIs: $uri
		Suites: $codename-backports
		Components: main
		Signed-By: $key
	END
	mv "$SOURCES_FILE.new" "$SOURCES_FILE"
}

# The clang to install: the wanted one if apt has it, or else the newest.
choose_clang() {
	local v
	v=$(apt-cache search --names-only '^clang-[0-9]+$' | sed 's/^clang-\([0-9]*\) .*/\1/' | sort -n |
		awk -v wanted="$CLANG_WANTED" -v min="$CLANG_MIN" '
			$1 == wanted { exact = 1 } { last = $1 }
			END { if (exact) print wanted; else if (last >= min) print last }')
	[ -n "$v" ] || die "apt has no clang >= $CLANG_MIN for this release"
	echo "$v"
}

# Turns the missing list into package names, with "/SUITE" where the release's own version is too old.
packages() {
	local codename=$1 list=$2 suffix='' pkg v
	[ "$codename" != bookworm ] || suffix=/bookworm-backports
	while IFS=$'\t' read -r pkg _; do
		case $pkg in
		clang)
			v=$(choose_clang) || exit 1
			printf 'clang-%s\n' "$v"
			;;
		bpftool) printf 'bpftool%s\n' "$suffix" ;;
		libbpf-dev) printf '%s\n' "libbpf-dev$suffix" "libbpf1$suffix" ;;
		*) printf '%s\n' "$pkg" ;;
		esac
	done <<<"$list"
}

install_missing() {
	local codename list pkgs
	list=$(missing)
	if [ -z "$list" ]; then
		say "nothing is missing"
		return 0
	fi
	codename=$(debian_codename)
	case $codename in
	bookworm | trixie) ;;
	*) die "Debian 12 (bookworm) and 13 (trixie) are known, this is '${codename:-unknown}'; install by hand:"$'\n'"$(cut -f2 <<<"$list")" ;;
	esac
	[ "$(id -u)" = 0 ] || die "installing packages needs root; missing:"$'\n'"$(cut -f2 <<<"$list")"
	[ "$codename" != bookworm ] || add_backports "$codename"
	say "updating the package lists"
	quietly apt update || die "apt-get update failed (see above)"
	pkgs=$(packages "$codename" "$list" | sort -u)
	say "installing $(tr '\n' ' ' <<<"$pkgs")"
	# shellcheck disable=SC2086 # one word per package name
	quietly apt install -y --no-install-recommends $pkgs ||
		die "apt-get install failed (see above); packages: $(tr '\n' ' ' <<<"$pkgs")"
	list=$(missing)
	[ -z "$list" ] || die "still missing after the installation:"$'\n'"$(cut -f2 <<<"$list")"
	say "done"
}

case ${1:-} in
--check)
	list=$(missing)
	if [ -n "$list" ]; then
		cut -f2 <<<"$list"
		exit 1
	fi
	;;
-h | --help) usage ;;
'') install_missing ;;
*)
	usage >&2
	exit 2
	;;
esac
