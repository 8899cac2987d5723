#!/bin/bash
# SPDX-License-Identifier: MIT
# servers_test.sh PROGRAM: each server of fermata-bench says that it is ready, answers, and ends on
# SIGTERM with status 0; wrong usage is one line and status 2.
set -euo pipefail
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

start() { # ARGUMENT...: with port 0, whose real one becomes $port
  mkfifo "$work/out"
  "$program" "$@" >"$work/out" &
  server=$!
  read -r said port <"$work/out"
  rm "$work/out"
  [ "$said" = ready ] || fail "$1 says '$said $port'"
}
ask() { # QUESTION: the first line of the answer becomes $answer
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf '%b' "$1" >&3
  IFS= read -r -t 20 answer <&3 || fail "no answer to '$1'"
  exec 3>&-
}
expect() { [ "$answer" = "$1" ] || fail "'$answer' instead of '$1'"; }
stop() {
  kill -TERM "$server"
  wait "$server" || fail "the server ends with status $?"
}

start serve-echo 0
ask 'is anybody there?\n'
expect 'is anybody there?'
stop

start serve-fib 0 2
ask '20\n'
expect 6765
ask 'twenty\n'
expect 'not a number up to 90'
stop

printf 'ten megabytes' >"$work/file"
start serve-http 0 "$work/file" "$work"
for path in / /1k /10m /f/file; do
  ask "GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
  expect $'HTTP/1.1 200 OK\r'
done
stop

for wrong in '' c99 'c1 c2' '--ms 0 c1' serve-echo 'serve-echo 70000' 'serve-fib 0' 'serve-fib 0 0' \
  'serve-http 0 a b c'; do
  status=0
  # shellcheck disable=SC2086 # words
  said=$("$program" $wrong 2>&1) || status=$?
  [ "$status" -eq 2 ] || fail "status $status for '$wrong'"
  [[ $said == 'fermata-bench: '*' (see --help)' && $said != *$'\n'* ]] || fail "'$wrong' says '$said'"
done
for wrong in abc 5x 0 ''; do
  status=0
  said=$(HOG_SECONDS=$wrong "$program" c12 2>&1) || status=$?
  [ "$status" -eq 2 ] || fail "status $status for HOG_SECONDS=$wrong"
  [[ $said == 'fermata-bench: HOG_SECONDS is '*' (see --help)' ]] || fail "HOG_SECONDS: '$said'"
done
