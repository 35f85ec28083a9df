#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# fetch-kernel.sh stock|backports: brings Debian's own kernel package of this release (stock) or of its backports through apt, unpacks it
# under $THIRD/linux-VERSION and points the link $THIRD/linux-stock or $THIRD/linux-backports there. Installs nothing. One make at a time.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT"
. tools/apt.sh
THIRD=${THIRD:-build/third_party}
flavour=${1:?usage: fetch-kernel.sh stock|backports}

mkdir -p "$THIRD"
exec 9>"$THIRD/.linux.lock"
flock 9
if [ "$THIRD/linux-$flavour/.fetched" -nt tools/fetch-kernel.sh ]; then
    exit 0 # another make has just brought it
fi
apt_refresh
codename=$(apt_codename)
case $flavour in
stock) suites="$codename-security $codename" ;;
backports) suites="$codename-backports" ;;
*)
    echo "fetch-kernel: no such kernel: $flavour (stock, backports)" >&2
    exit 2
    ;;
esac

# The newest version of the metapackage that the suites hold, and the image that it depends on.
version=$(for suite in $suites; do
    apt_with_suites apt-cache madison linux-image-amd64 | awk -F' *[|] *' -v s=" $suite/main " '$3 " " ~ s { sub(/^ +/, "", $2); print $2 }'
done | sort -V | tail -1)
if [ -z "$version" ]; then
    echo "fetch-kernel: the archive has no linux-image-amd64 in: $suites" >&2
    exit 1
fi

# Those packages that package $1 depends on, of the kernel's parts in $2.
depends() {
    apt_with_suites apt-cache show "$1=$version" | sed -n 's/^Depends: *//p' | tr ',' '\n' |
        sed -nE "s/^ *(linux-($2)-[0-9][^ ]*).*/\1/p" | sort -u
}

# Later kernels come in parts: the image's package has the kernel and its modules beside it.
image=$(depends linux-image-amd64 image)
mapfile -t packages < <(depends "${image:?fetch-kernel: linux-image-amd64 $version depends on no image}" 'binary|modules')
packages+=("$image")

dir="$THIRD/linux-$version"
if ! [ -e "$dir/.fetched" ]; then
    echo "fetch: $image $version"
    rm -rf "$dir"
    mkdir -p "$dir/deb"
    (cd "$dir/deb" && apt_with_suites apt-get -qq download "${packages[@]/%/=$version}") 2>"$APT_DIR/fetch-linux.log" || {
        tail -3 "$APT_DIR/fetch-linux.log" >&2
        echo "fetch-kernel: apt could not download ${packages[*]}" >&2
        exit 1
    }
    for deb in "$dir"/deb/*.deb; do
        dpkg -x "$deb" "$dir"
    done
    rm -r "$dir/deb"
fi
touch "$dir/.fetched"
ln -sfn "linux-$version" "$THIRD/linux-$flavour"
