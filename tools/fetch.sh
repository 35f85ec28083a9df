#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# fetch.sh NAME: brings one third-party source through apt (which checks its signature) to $THIRD/NAME/src, untouched.
#   inih, lwip  Debian source packages        newlib  the newlib-source package
# One make at a time: the lock $THIRD/.NAME.lock is also held while newlib is built.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
. tools/apt.sh
THIRD=${THIRD:-build/third_party}
name=${1:?usage: fetch.sh inih|lwip|newlib}
dir="$THIRD/$name"

# The oldest version that the archive still holds: this release's own where it can be had.
source_package() {
    local v
    apt_refresh
    for v in $(apt_with_suites apt-cache showsrc "$1" | awk '$1 == "Version:" { print $2 }' | sort -uV); do
        echo "fetch: source package $1 $v"
        if (cd "$dir" && rm -f -- * && apt_with_suites apt-get -qq source --download-only "$1=$v") 2>"$APT_DIR/fetch-$name.log"; then
            dpkg-source --no-check -x "$dir"/*.dsc "$dir/src" >/dev/null
            return 0
        fi
    done
    tail -3 "$APT_DIR/fetch-$name.log" >&2
    echo "fetch: the archive has no usable source of $1" >&2
    return 1
}

mkdir -p "$THIRD"
exec 9>"$THIRD/.$name.lock"
flock 9
if [ "$dir/.fetched" -nt tools/fetch.sh ]; then
    exit 0 # another make has just brought it
fi
rm -rf "$dir"
mkdir -p "$dir"
case $name in
inih) source_package libinih ;;
lwip) source_package lwip ;;
newlib)
    mkdir "$dir/src"
    tar -xf /usr/src/newlib/newlib-*.tar.xz -C "$dir/src" --strip-components=1
    ;;
*)
    echo "fetch: no such source: $name (inih, lwip, newlib)" >&2
    exit 2
    ;;
esac
touch "$dir/.fetched"
