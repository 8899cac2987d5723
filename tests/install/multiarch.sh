#!/bin/bash
# SPDX-License-Identifier: MIT
# multiarch.sh SOURCE COMPILER: from lib/<triplet>/pkgconfig the prefix is three folders up.
set -euo pipefail
source=$1 compiler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake -S "$source" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" -DFERMATA_DEVELOPER=OFF \
  -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR=lib/some-triplet >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
mkdir -p "$work/root/lib/some-triplet/pkgconfig"
cp "$work"/build/{loop,promise}/fermata-*.pc "$work/root/lib/some-triplet/pkgconfig"

ask() { PKG_CONFIG_PATH=$work/root/lib/some-triplet/pkgconfig pkg-config "$@" fermata-promise; }
same() { [ "$(realpath -m "$1")" = "$2" ] || { echo "$1 is not $2"; exit 1; }; }
same "$(ask --variable=includedir)" "$work/root/include"
same "$(ask --variable=libdir)" "$work/root/lib/some-triplet"
