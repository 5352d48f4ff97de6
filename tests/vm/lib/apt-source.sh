# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Finds where this machine's own apt gets Debian packages from, so that no
# mirror is ever written down in the tree. Sourced by scripts/deps.sh and
# tests/vm/fetch.

OOMX_APT_DIR=${OOMX_APT_DIR:-/etc/apt}
OOMX_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# One line "URI SUITE SIGNED-BY" per enabled source that serves component
# main, in both the deb822 and the one-line format; SIGNED-BY is "-" unless it
# is a file name.
apt_sources() {
	local f
	for f in "$OOMX_APT_DIR"/sources.list.d/*.sources; do
		[ -r "$f" ] || continue
		awk '
		function flush(   nu, ns, u, s, i, j, key) {
			if (types ~ /(^| )deb( |$)/ && comps ~ /(^| )main( |$)/ && enabled !~ /^(no|false|0)$/) {
				nu = split(uris, u, " "); ns = split(suites, s, " ")
				key = signed ~ /^\// ? signed : "-"
				sub(/ .*/, "", key)
				for (j = 1; j <= ns; j++) for (i = 1; i <= nu; i++) print u[i], s[j], key
			}
			types = uris = suites = comps = signed = enabled = field = ""
		}
		function put(v) {
			gsub(/[ \t]+/, " ", v); sub(/^ /, "", v); sub(/ $/, "", v)
			if (field == "types") types = types " " v
			else if (field == "uris") uris = uris " " v
			else if (field == "suites") suites = suites " " v
			else if (field == "components") comps = comps " " v
			else if (field == "signed-by") signed = signed == "" ? v : signed " " v
			else if (field == "enabled") enabled = tolower(v)
		}
		/^[ \t]*#/ { next }
		/^[ \t]*$/ { flush(); next }
		/^[^ \t:]+:/ { i = index($0, ":"); field = tolower(substr($0, 1, i - 1)); put(substr($0, i + 1)); next }
		/^[ \t]/ { put($0) }
		END { flush() }' "$f"
	done
	for f in "$OOMX_APT_DIR"/sources.list "$OOMX_APT_DIR"/sources.list.d/*.list; do
		[ -r "$f" ] || continue
		awk '
		{ sub(/#.*/, "") }
		$1 == "deb" {
			key = "-"; line = $0; sub(/^[ \t]*deb[ \t]+/, "", line)
			if (line ~ /^\[/) {
				opts = substr(line, 2, index(line, "]") - 2)
				line = substr(line, index(line, "]") + 1)
				n = split(opts, o, " ")
				for (i = 1; i <= n; i++)
					if (tolower(o[i]) ~ /^signed-by=\//) { key = o[i]; sub(/^[^=]*=/, "", key); sub(/,.*/, "", key) }
			}
			n = split(line, w, " ")
			for (i = 3; i <= n; i++) if (w[i] == "main") { print w[1], w[2], key; break }
		}' "$f"
	done
}

# apt_source SUITE: "URI SIGNED-BY" of the first source that serves SUITE, or
# exit status 1.
apt_source() {
	apt_sources | awk -v suite="$1" -v keyring="$OOMX_KEYRING" '
		$2 == suite { print $1, $3 == "-" ? keyring : $3; found = 1; exit }
		END { exit !found }'
}

# The code name of the Debian release of this machine (bookworm, trixie ...).
debian_codename() {
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release | tr -d '"'
}
