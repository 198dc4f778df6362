#!/bin/sh
# Builds Microsoft SEAL 4.0 for tests and comparison:
#
#     scripts/install-seal.sh [PREFIX]        (default: target/seal)
#
# FOR TESTS AND COMPARISON ONLY. SEAL 4.0 is of 2022; 4.4 is announced as a critical security
# update. In production install SEAL 4.4 or later by other means and name its folder in SEAL_ROOT.
#
# The sources are the folder SEAL, under the MIT licence, inside the published package sealy 0.2.0,
# which cargo downloads and checks. The package itself, under the GPL, is neither compiled nor linked.
#
# Needs cargo, cmake, a C++17 compiler and the headers of zlib and zstd. What is missing is installed
# by apt-get, if the script runs as root; otherwise it says what to install.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
prefix=${1:-$root/target/seal}
mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd)

missing=""
command -v cmake >/dev/null || missing="$missing cmake"
command -v c++ >/dev/null || missing="$missing g++"
command -v make >/dev/null || missing="$missing make"
has_header() {
    printf '#include <%s>\n' "$1" | c++ -E -x c++ - >/dev/null 2>&1
}
has_header zlib.h || missing="$missing zlib1g-dev"
has_header zstd.h || missing="$missing libzstd-dev"
if [ -n "$missing" ]; then
    echo "missing:$missing" >&2
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "install these (names of Debian's packages) and run this again" >&2
        exit 1
    fi
    echo "installing them with apt-get" >&2
    # shellcheck disable=SC2086 # one word a package
    apt-get install -y --no-install-recommends $missing >&2 ||
        { apt-get update >&2 && apt-get install -y --no-install-recommends $missing >&2; }
fi

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

# A package that depends on sealy and is never compiled: cargo finds, checks and unpacks the sources.
mkdir -p "$build/fetch/src"
touch "$build/fetch/src/lib.rs"
cat >"$build/fetch/Cargo.toml" <<'MANIFEST'
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
publish = false

[dependencies]
sealy = { version = "=0.2.0", default-features = false }

[workspace]
MANIFEST
(cd "$build/fetch" && cargo vendor --quiet vendor >/dev/null)
source="$build/fetch/vendor/sealy/SEAL"
grep -q "MIT License" "$source/LICENSE"

cmake -S "$source" -B "$build/cmake" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DSEAL_BUILD_DEPS=OFF -DSEAL_BUILD_SEAL_C=OFF -DSEAL_USE_MSGSL=OFF \
    -DSEAL_USE_ZLIB=ON -DSEAL_USE_ZSTD=ON \
    -DSEAL_BUILD_EXAMPLES=OFF -DSEAL_BUILD_TESTS=OFF -DSEAL_BUILD_BENCH=OFF >/dev/null
cmake --build "$build/cmake" --parallel "${SEAL_JOBS:-2}"
cmake --install "$build/cmake" >/dev/null
mkdir -p "$prefix/share/doc/seal"
cp "$source/LICENSE" "$source/NOTICE" "$prefix/share/doc/seal/"

cat <<DONE

SEAL 4.0 is in $prefix. It is for tests and comparison only; use SEAL 4.4 or later in production.

    SEAL_ROOT=$prefix cargo test --release -p nexus-seal --features seal
DONE
