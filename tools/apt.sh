# SPDX-License-Identifier: BSD-2-Clause
# Shared by setup.sh and fetch.sh: apt with the machine's own archive, plus its backports suite and its source packages.
# The extra suites live under build/apt and leave the machine's configuration as it is.
# Sourced, not run; needs ROOT (the checkout's top folder).

APT_DIR="$ROOT/build/apt"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        echo "setup: '$1' needs root: run as root, or install sudo" >&2
        return 1
    fi
}

# The codename that the main archive is configured with (bookworm, trixie, ...).
apt_codename() {
    . /etc/os-release
    echo "${VERSION_CODENAME:?setup: /etc/os-release names no release; Debian 12 or 13 is needed}"
}

# One line "URI COMPONENTS..." for each archive that serves this release's own suite.
apt_archives() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
        awk -v suite="$1" '$2 == suite && $3 == "main" { print $1 }' | sort -u
}

# Sources of Debian 13 stand behind those of this release: mirrors drop superseded source files now and then.
apt_write_sources() {
    local codename uri list="$APT_DIR/sources.list" signed="" keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    codename=$(apt_codename)
    [ -e "$keyring" ] && signed="[signed-by=$keyring] "
    mkdir -p "$APT_DIR/lists/partial" "$APT_DIR/parts"
    : >"$list.new"
    for uri in $(apt_archives "$codename"); do
        printf 'deb %s%s %s main\n' "$signed" "$uri" "$codename" "$signed" "$uri" "$codename-backports" >>"$list.new"
        printf 'deb-src %s%s %s main\n' "$signed" "$uri" "$codename" "$signed" "$uri" trixie >>"$list.new"
    done
    for uri in $(apt_archives "$codename-security"); do
        printf 'deb %s%s %s main\n' "$signed" "$uri" "$codename-security" >>"$list.new"
        printf 'deb-src %s%s %s main\n' "$signed" "$uri" "$codename-security" >>"$list.new"
    done
    if ! [ -s "$list.new" ]; then
        echo "setup: apt is configured with no archive for '$codename': add one to /etc/apt/sources.list" >&2
        return 1
    fi
    mv "$list.new" "$list"
}

# apt-get (or apt-cache, given as the first word) over those suites.
apt_with_suites() {
    local tool=$1
    shift
    "$tool" -o Dir::Etc::SourceList="$APT_DIR/sources.list" -o Dir::Etc::SourceParts="$APT_DIR/parts" \
        -o Dir::State::Lists="$APT_DIR/lists" -o Dir::Cache::pkgcache="" -o Dir::Cache::srcpkgcache="" "$@"
}

# Brings the lists up to date once a day at most.
apt_refresh() {
    local stamp="$APT_DIR/refreshed"
    if [ -n "$(find "$stamp" -mmin -1440 2>/dev/null)" ]; then
        return 0
    fi
    apt_write_sources
    echo "setup: reading the package lists (main, security, backports, sources)"
    as_root apt-get -qq -o Dir::Etc::SourceList="$APT_DIR/sources.list" -o Dir::Etc::SourceParts="$APT_DIR/parts" \
        -o Dir::State::Lists="$APT_DIR/lists" update
    touch "$stamp"
}
