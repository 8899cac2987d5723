#!/bin/bash
# SPDX-License-Identifier: MIT
# test.sh SERVER CLIENT: every mode answers a hundred times, and wrong lines. Who comes while a
# large number is computed inline is not accepted before that is done; in the other modes many are
# answered. The gaps are printed, not judged: they are wall time.
set -euo pipefail
server=$1 client=$2
work=$(mktemp -d)
running=
trap '[ -z "$running" ] || kill "$running"; rm -rf "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

ask() { # CLIENT_ARGUMENTS...: $line becomes what the client says
  line=$("$client" "$@") || fail "$mode: the client fails"
}

serve() { # N MODE...: $beside becomes how many were answered beside a large one
  local n=$1 word port line gap
  shift
  mode=$*
  mkfifo "$work/out"
  "$server" "$@" 0 >"$work/out" &
  running=$!
  exec 4<"$work/out"
  rm "$work/out"
  read -r word port <&4
  [ "$word" = port ] || fail "the server says '$word'"
  # A line that is too long is answered too, then the connection ends.
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf '%0100d' 1 >&3
  read -r -t 60 line <&3 || fail 'no answer to a long line'
  [ "$line" = 'not a number up to 45' ] || fail "a long line is answered '$line'"
  exec 3>&-
  ask "$port" "$n"
  echo "$mode: $line"
  ask "$port" 36 beside
  read -r beside _ <<<"$line"
  kill -TERM "$running"
  wait "$running" || fail "$mode: the server ends with status $?"
  running=
  read -r _ word gap _ <&4
  echo "$mode: $line, the loop was held for $gap us at most"
}

starves() { [ "$beside" -le 2 ] || fail "$mode: $beside clients were answered beside"; }
answers() { [ "$beside" -ge 10 ] || fail "$mode: only $beside clients were answered beside"; }

serve 24 detached 1
serve 24 detached 2
answers
serve 26 inline
starves
serve 26 helping 1
answers
