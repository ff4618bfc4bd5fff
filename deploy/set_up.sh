#!/bin/sh
# Makes .venv with everything that footanalytics needs, and checks what the system must have. What
# only the servers of the cluster and their tests need is installed too where root runs this; without
# it the rest works.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'set-up: %s\n' "$*"; }
stop() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

PACKAGES=""
command -v ffmpeg >/dev/null 2>&1 || PACKAGES="$PACKAGES ffmpeg"
for library in libGL.so.1:libgl1 libglib-2.0.so.0:libglib2.0-0; do
    find /lib /usr/lib /usr/lib64 /usr/local/lib -name "${library%%:*}*" 2>/dev/null \
        | grep -q . || PACKAGES="$PACKAGES ${library##*:}"
done

if [ ! -d .venv/lib ]; then
    FREE_KB=$(df -Pk . | awk 'NR==2 {print $4}')
    [ "$FREE_KB" -ge 10000000 ] || stop "10 GB of free disk are needed here, $((FREE_KB / 1000000)) GB are free"
fi

if [ "$(id -u)" = 0 ] && ! command -v uv >/dev/null 2>&1 \
    && ! python3 -c 'import ensurepip' >/dev/null 2>&1; then
    PACKAGES="$PACKAGES python3-venv"
fi

if [ -n "$PACKAGES" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing$PACKAGES with apt-get"
        apt-get update -qq >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $PACKAGES >/dev/null
    else
        stop "run this first: sudo apt-get install -y$PACKAGES"
    fi
fi

SERVERS=""
wants() { command -v "$1" >/dev/null 2>&1 || SERVERS="$SERVERS $2"; }
wants redis-server redis-server
wants java default-jre-headless
wants mvn maven
wants cc "gcc libc6-dev"
wants promtool prometheus
ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || SERVERS="$SERVERS libfaketime"

if [ -n "$SERVERS" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing$SERVERS with apt-get, for the servers of the cluster and their tests"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $SERVERS; } >/dev/null \
            || say "that failed: \`make servers\` and the tests of the cluster need it, nothing else does"
    else
        say "for \`make servers\` and the tests of the cluster alone: sudo apt-get install -y$SERVERS"
    fi
fi

PYTHON=""
for candidate in python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null 2>&1 \
        && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        PYTHON=$candidate
        break
    fi
done

if command -v uv >/dev/null 2>&1; then
    say "installing the pinned packages into .venv with uv (about 7 GB, a minute or two)"
    [ -x .venv/bin/python ] || uv venv -q --python "${PYTHON:-3.11}" .venv
    uv pip sync -q --python .venv/bin/python --require-hashes requirements.lock
    uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
else
    [ -n "$PYTHON" ] || stop "Python 3.11, 3.12 or 3.13 is needed: sudo apt-get install -y python3 python3-venv"
    say "installing the pinned packages into .venv with pip (about 7 GB, a few minutes)"
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        rm -rf .venv
        if ! "$PYTHON" -m venv .venv; then
            rm -rf .venv
            stop "run this first: sudo apt-get install -y python3-venv"
        fi
    fi
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
fi

# Elsewhere the first start of a Pulsar downloads it.
if [ "${FOOTANALYTICS_REQUIRE_SERVERS:-}" = 1 ]; then
    .venv/bin/python deploy/servers.py --fetch >/dev/null || say "the tests that need Pulsar will fail"
fi
touch .venv/.ready
say "done: .venv/bin/footanalytics --help"
