#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Installs the Debian packages that tools/packages lists and that are missing; says first which. Silent when nothing is.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
. "$ROOT/tools/apt.sh"

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Debian names clang's runtime after its version.
resolve() {
    case $1 in
    libclang-rt-dev) echo "libclang-rt-$(apt_clang_version)-dev" ;;
    *) echo "$1" ;;
    esac
}

apt_clang_version() {
    case $(apt_codename) in
    bookworm) echo 14 ;;
    trixie) echo 19 ;;
    *) echo "setup: Debian 12 (bookworm) or 13 (trixie) is needed" >&2; exit 1 ;;
    esac
}

# True if the installed version of $1 is at least $2.
recent() {
    dpkg --compare-versions "$(dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo 0)" ge "$2"
}

# True if the release's own archive has version $2 of $1 or a later one.
release_has() {
    local v
    v=$(apt_with_suites apt-cache madison "$1" | awk -v s="$(apt_codename)/main" '$0 ~ " " s " " { print $3; exit }')
    [ -n "$v" ] && dpkg --compare-versions "$v" ge "$2"
}

# Fills plain (names) and back ("name least version"); false if nothing is missing.
missing() {
    local name suite least
    plain=() back=()
    while read -r name suite least; do
        case $name in '' | '#'*) continue ;; esac
        name=$(resolve "$name")
        if [ -z "$suite" ]; then
            installed "$name" || plain+=("$name")
        elif ! installed "$name" || ! recent "$name" "$least"; then
            back+=("$name $least")
        fi
    done <"$ROOT/tools/packages"
    [ ${#plain[@]} -gt 0 ] || [ ${#back[@]} -gt 0 ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

try_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -c "$APT_DIR/lists.conf" install -y -qq --no-install-recommends "$@" \
        >"$APT_DIR/install.log" 2>&1 9>&-
}

# Lists of this morning may name a package that the archive has replaced since.
install() {
    try_install "$@" && return
    apt_refresh now
    try_install "$@" || {
        tail -20 "$APT_DIR/install.log" >&2
        echo "setup: apt could not install: $*" >&2
        exit 1
    }
}

missing || exit 0

# Another make may be installing just this.
mkdir -p "$APT_DIR"
exec 9>"$APT_DIR/setup.lock"
flock 9
missing || exit 0
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "setup: missing: ${plain[*]} ${back[*]}" >&2
    echo "setup: installing packages needs root: run make as root, or install sudo" >&2
    exit 1
fi

apt_refresh
fromback=()
for item in "${back[@]}"; do
    read -r name least <<<"$item"
    if release_has "$name" "$least"; then plain+=("$name"); else fromback+=("$name"); fi
done
if [ ${#plain[@]} -gt 0 ]; then
    echo "setup: installing ${plain[*]}"
    install "${plain[@]}"
fi
if [ ${#fromback[@]} -gt 0 ]; then
    echo "setup: installing from $(apt_codename)-backports: ${fromback[*]}"
    install -t "$(apt_codename)-backports" "${fromback[@]}"
fi
