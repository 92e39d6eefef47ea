#!/bin/sh
# Makes .venv ready, and installs Debian's packages that are missing: as root by apt, else it names them.
# usage: packaging/setup.sh [binary | [clients] [deb] [bench]]   ("clients" adds what only the client tests start, "deb"
# what makes packages, "bench" what is measured beside us; "binary" is what the build of dist/calico needs, and no more)
set -eu
cd "$(dirname "$0")/.."

for part in "$@"; do
    case $part in
    binary | clients | deb | bench) ;;
    *)
        echo "setup: there is no part '$part': binary, clients, deb, bench" >&2
        exit 2
        ;;
    esac
done

list() { sed -n "s/^$1 \([^ ]*\).*/\1/p" packaging/debian-packages.txt; }

missing=""
for package in $(for part in base "$@"; do list "$part"; done); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        echo "setup: installing Debian packages:$missing (what each is for: packaging/debian-packages.txt)"
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >build-apt.log 2>&1 ||
            { tail -n 20 build-apt.log >&2; rm -f build-apt.log; exit 1; }
        rm -f build-apt.log
    else
        echo "setup: these Debian packages are missing; install them as root:" >&2
        echo "    apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi

# What the build needs is few packages; the tools of tests and checks are ten times as much, and who only builds waits.
# Every file has a hash in packaging/locks (make lock). What is a source alone is built by the locked setuptools: the
# backend that pip fetches by itself for a build has none.
python=${PYTHON:-python3}
if [ "${1:-}" = binary ]; then stamp=.venv/.built lock=build words="what dist/calico is made of"; else
    stamp=.venv/.ready lock=dev words="the packages of packaging/locks/dev.txt"; fi
fresh() {
    [ -f "$1" ] || return 1
    for of in pyproject.toml setup.py packaging/locks/*.txt; do [ ! "$of" -nt "$1" ] || return 1; done
}
if ! fresh "$stamp" && ! fresh .venv/.ready; then
    echo "setup: making .venv with $words"
    "$python" -m venv .venv
    install() { .venv/bin/pip install -q --disable-pip-version-check "$@"; }
    install --require-hashes -r packaging/locks/backend.txt
    install --require-hashes --no-build-isolation -r "packaging/locks/$lock.txt"
    install --no-index --no-deps --no-build-isolation -e .
    touch "$stamp"
fi
