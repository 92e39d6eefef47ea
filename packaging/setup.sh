#!/bin/sh
# Makes .venv ready, and installs Debian's packages that are missing: as root by apt, else it names them.
# usage: packaging/setup.sh [clients] [deb]   ("clients" adds what only the client tests start, "deb" what makes packages)
set -eu
cd "$(dirname "$0")/.."

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

python=${PYTHON:-python3}
stamp=.venv/.ready
if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ setup.py -nt "$stamp" ]; then
    echo "setup: making .venv with the pinned packages of pyproject.toml"
    "$python" -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check -e '.[dev]'
    touch "$stamp"
fi
