#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Finds the tools and libraries of the build, checks their minimum versions, writes make variables.
# shellcheck disable=SC2086 # a list of packages is words
set -eu
out=$1
die() {
	echo "oomx: $*. 'make deps' installs it on Debian 12 and 13." >&2
	exit 1
}

clang=
for c in clang clang-21 clang-20 clang-19 clang-18 clang-17 clang-16; do
	command -v "$c" >/dev/null 2>&1 || continue
	v=$("$c" -dumpversion | cut -d. -f1)
	if [ "$v" -ge 16 ] && "$c" -print-targets 2>/dev/null | grep -q '^ *bpf '; then
		clang=$c
		break
	fi
done
[ -n "$clang" ] || die "no clang >= 16 with the bpf target"

pkgs='libbpf libelf zlib jansson nettle yaml-0.1'
command -v pkg-config >/dev/null 2>&1 || die "no pkg-config"
pkg-config --exists 'libbpf >= 1.4' ||
	die "no libbpf >= 1.4 (found: $(pkg-config --modversion libbpf 2>/dev/null || echo none))"
for p in $pkgs; do
	pkg-config --exists "$p" || die "no development files of $p"
done
cmocka=$(pkg-config --libs cmocka 2>/dev/null || echo -lcmocka)

bpftool=$(command -v bpftool || ls /usr/sbin/bpftool 2>/dev/null || true)
[ -n "$bpftool" ] || die "no bpftool"
v=$("$bpftool" version -j 2>/dev/null | sed 's/.*"version":"\([0-9]*\.[0-9]*\).*/\1/')
case $v in
[1-6].* | 7.[0-3] | '') die "no bpftool >= 7.4 (found: ${v:-unknown})" ;;
esac

{
	echo "CLANG := $clang"
	echo "BPFTOOL := $bpftool"
	echo "LIBS_CFLAGS := $(pkg-config --cflags $pkgs)"
	echo "LIBS := $(pkg-config --libs $pkgs)"
	echo "CMOCKA_LIBS := $cmocka"
} >"$out"
