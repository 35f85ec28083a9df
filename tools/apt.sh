# SPDX-License-Identifier: BSD-2-Clause
# Shared by setup.sh, fetch.sh and fetch-kernel.sh: apt with the machine's own archive, plus its backports suite and its source packages.
# Sources, lists and settings live under build/apt, owned by whoever runs make; the machine's configuration stays as it is, and only
# installing needs root. Sourced, not run; needs ROOT (the checkout's top folder).

APT_DIR="$ROOT/build/apt"

# The codename that the main archive is configured with (bookworm, trixie, ...).
apt_codename() {
    . /etc/os-release
    echo "${VERSION_CODENAME:?setup: /etc/os-release names no release; Debian 12 or 13 is needed}"
}

# The machine's hooks after an update are for the machine's own lists. _apt, which apt fetches as, may not enter the checkout.
apt_write_settings() {
    cat >"$APT_DIR/$1.conf" <<END
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::State::Lists "$APT_DIR/$1";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
    mkdir -p "$APT_DIR/$1/partial"
}

# The URI of each archive that serves this suite of Debian's. apt tells of suites only whose lists it has: $1 names the settings.
apt_archives() {
    apt-get -c "$APT_DIR/$1.conf" indextargets \
        --format '$(REPO_URI) $(COMPONENT) $(RELEASE) $(CODENAME) $(ORIGIN)' 'Created-By: Packages' |
        awk -v suite="$2" '$2 == "main" && ($3 == suite || $4 == suite) && $5 == "Debian" { print $1 }' | sort -u
}

# Writes sources.list from what the settings $1 tell of; false if that is nothing. Sources of Debian 13 stand behind those of Debian 12:
# mirrors drop superseded source files now and then.
apt_write_sources() {
    local codename uri list="$APT_DIR/sources.list"
    codename=$(apt_codename)
    {
        for uri in $(apt_archives "$1" "$codename"); do
            apt_line deb "$uri" "$codename"
            apt_line deb "$uri" "$codename-backports"
            apt_line deb-src "$uri" "$codename"
            [ "$codename" = trixie ] || apt_line deb-src "$uri" trixie
        done
        for uri in $(apt_archives "$1" "$codename-security"); do
            apt_line deb "$uri" "$codename-security"
            apt_line deb-src "$uri" "$codename-security"
        done
    } >"$list.new"
    [ -s "$list.new" ] && mv "$list.new" "$list"
}

apt_line() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=""
    [ -e "$keyring" ] && signed="[signed-by=$keyring] "
    echo "$1 $signed$2 $3 main"
}

# apt-get (or apt-cache, given as the first word) over those suites.
apt_with_suites() {
    local tool=$1
    shift
    "$tool" -c "$APT_DIR/lists.conf" "$@"
}

apt_update() {
    apt_write_settings lists
    cat >>"$APT_DIR/lists.conf" <<END
Dir::Etc::SourceList "$APT_DIR/sources.list";
Dir::Etc::SourceParts "/dev/null";
END
    # The machine's lists say what its archive is; where they have been thrown away, lists of our own.
    printf 'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n' >"$APT_DIR/machine.conf"
    if ! apt_write_sources machine; then
        apt_write_settings fresh
        apt-get -qq -c "$APT_DIR/fresh.conf" update
        apt_write_sources fresh || {
            echo "setup: apt is configured with no archive of Debian's '$(apt_codename)': add one to /etc/apt/sources.list" >&2
            return 1
        }
    fi
    echo "setup: reading the package lists (main, security, backports, sources)"
    apt_with_suites apt-get -qq update
}

# Brings the lists up to date, once a day at most ($1 = now: in any case). One make at a time.
apt_refresh() {
    local stamp="$APT_DIR/refreshed"
    mkdir -p "$APT_DIR"
    (
        flock 9
        if [ "${1:-}" = now ] || [ ! -e "$APT_DIR/lists.conf" ] || [ -z "$(find "$stamp" -mmin -1440 2>/dev/null)" ]; then
            apt_update 9>&-
            touch "$stamp"
        fi
    ) 9>"$APT_DIR/lists.lock"
}
