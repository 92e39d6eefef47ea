#!/bin/sh
# Makes packaging/locks/ anew from pyproject.toml: each package with its version and the hashes of its files, no index.
# usage: packaging/lock.sh [pip-compile's options, such as --upgrade or --upgrade-package urllib3]
set -eu
cd "$(dirname "$0")/.."
export CUSTOM_COMPILE_COMMAND="make lock"

compile() {
    to=packaging/locks/$1.txt
    shift
    .venv/bin/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
        --no-emit-trusted-host --no-emit-options --output-file "$to" "$@" pyproject.toml
    echo "lock: $to: $(grep -c '==' "$to") packages"
}

compile backend --all-build-deps --only-build-deps "$@"
compile build --extra build "$@"
compile dev --extra build --extra dev --constraint packaging/locks/build.txt "$@"
