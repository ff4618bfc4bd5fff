#!/bin/sh
# Puts the Apache Pulsar distribution into the folder given, where it is missing: downloaded with
# Maven, checked and unpacked aside, then renamed, so that the folder is whole or not there.
set -eu
VERSION=4.0.8
ARTIFACT=org.apache.pulsar:pulsar-server-distribution:$VERSION:tar.gz:bin
SHA512=65b769b10696cdfebf7fc5bcdc95dd663702e27051e616c1a13cb100e91279525be35352171befe7b0011176330aab29bd0a6c8a0f2f0646641af46d2e33cbd6

HOME_FOLDER=${1:?"usage: sh deploy/fetch_pulsar.sh FOLDER"}
CACHE=$(dirname "$HOME_FOLDER")
stop() { printf '%s\n' "$*" >&2; exit 1; }

mkdir -p "$CACHE"
exec 9>"$CACHE/pulsar.lock"
flock 9 # two processes may want it at once
[ ! -d "$HOME_FOLDER" ] || exit 0

command -v mvn >/dev/null 2>&1 || stop "mvn is missing: sudo apt-get install -y maven default-jre-headless"
ASIDE=$(mktemp -d "$CACHE/.pulsar-XXXXXX")
trap 'rm -rf "$ASIDE"' EXIT
trap 'exit 1' HUP INT TERM
# A Maven repository aside: the user's own would keep 245 MB that nobody needs again.
mvn -q -B -Dmaven.repo.local="$ASIDE/maven" dependency:copy -Dartifact="$ARTIFACT" \
    -DoutputDirectory="$ASIDE" >"$ASIDE/said" 2>&1 \
    || stop "Pulsar could not be downloaded (see Maven's settings, or set PULSAR_HOME): $(grep -m1 . "$ASIDE/said" | cut -c1-300)"
ARCHIVE=$ASIDE/pulsar-server-distribution-$VERSION-bin.tar.gz
printf '%s  %s\n' "$SHA512" "$ARCHIVE" | sha512sum -c --status \
    || stop "the downloaded Pulsar has another SHA-512 than published: try again later"
mkdir "$ASIDE/whole"
tar -xzf "$ARCHIVE" --strip-components=1 -C "$ASIDE/whole" 2>/dev/null \
    || stop "Pulsar could not be unpacked: free 600 MB in $CACHE"
mv "$ASIDE/whole" "$HOME_FOLDER"
