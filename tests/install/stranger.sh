#!/bin/bash
# SPDX-License-Identifier: MIT
# stranger.sh COMPONENT SOURCE BUILD COMPILER LIBDIR: installs BUILD, moves it, and builds and runs
# stranger/COMPONENT.cpp against it.
set -euo pipefail
component=$1 source=$2 build=$3 compiler=$4 libdir=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved" # nothing in it may know where it was installed

# What this component does not stand on must not be looked for.
without=()
case $component in
  promise) without=(-DCMAKE_DISABLE_FIND_PACKAGE_{ZLIB,OpenSSL,LibArchive}=ON) ;;
  http) without=(-DCMAKE_DISABLE_FIND_PACKAGE_{OpenSSL,LibArchive}=ON) ;;
  git_mem) without=(-DCMAKE_DISABLE_FIND_PACKAGE_LibArchive=ON) ;;
esac
cmake -S "$source/tests/install/stranger" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$work/moved" -DCOMPONENT="$component" "${without[@]}" >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
cmake --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/build/stranger"

export PKG_CONFIG_PATH=$work/moved/$libdir/pkgconfig
module=fermata-${component//_/-}
ways=('')
# The packages of libarchive and libcurl (http, and what stands on it) do not bring what their own Libs.private name.
[[ $component == @(http|git_mem|mirror) ]] || ways+=(--static)
for static in "${ways[@]}"; do
  # shellcheck disable=SC2046 # flags are words
  "$compiler" "$source/tests/install/stranger/$component.cpp" -o "$work/by-pkg-config" \
    $(pkg-config --cflags --libs $static "$module")
  "$work/by-pkg-config"
done

# A program may have a sanitizer where the library has none.
if [ "$component" = promise ]; then
  # shellcheck disable=SC2046 # flags are words
  "$compiler" -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    "$source/tests/install/stranger/$component.cpp" -o "$work/sanitized" \
    $(pkg-config --cflags --libs "$module")
  "$work/sanitized"
fi
