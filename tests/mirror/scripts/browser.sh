#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: browser.sh <folder of programs> [folder for pictures]
# The status page in a real browser: see browser.py.
here=$(dirname "$0")
. "$here/site.sh"
need chromium git python3

make_repository
start_mirror --remote "$work/r" --data "$work/data" # nobody has its archive
timeout 150 python3 "$here/browser.py" "$address" "${@:2}"
