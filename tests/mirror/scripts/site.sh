# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the scripts of this folder share: a temporary folder, fermata-mirror in it, and an end that
# takes all of it away. Sourced with the programs' folder as $1.
set -euo pipefail
bin=$1
work=$(mktemp -d)
chmod 755 "$work" # servers drop their rights and still must read here
children=()
finish() {
  local status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then tail -n 40 "$work"/*.log >&2 || true; fi
  for pid in "${children[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${children[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

skip() { echo "skipped: $1"; exit 0; }
fail() { echo "failed: $1" >&2; exit 1; }
need() { for program; do command -v "$program" >/dev/null || skip "$program"; done; }

# within SECONDS COMMAND...: again and again until it succeeds.
within() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || { echo "gave up: $*" >&2; return 1; }
    sleep 0.1
  done
}

# A git repository in $work/r with two packages, and one archive below $work.
make_repository() {
  local sha
  mkdir -p "$work/upstream" "$work/r/packages/a/a.1" "$work/r/packages/b/b.1"
  head -c 100000 /dev/urandom >"$work/upstream/a.tar.gz"
  sha=$(sha256sum "$work/upstream/a.tar.gz" | cut -d ' ' -f 1)
  archive_path=/cache/sha256/${sha:0:2}/$sha
  cat >"$work/r/packages/a/a.1/opam" <<OPAM
opam-version: "2.0"
synopsis: "one"
url {
  src: "${archive_url:-http://127.0.0.1:9/}a.tar.gz"
  checksum: "sha256=$sha"
}
OPAM
  printf 'opam-version: "2.0"\nsynopsis: "two"\n' >"$work/r/packages/b/b.1/opam"
  printf 'opam-version: "2.0"\n' >"$work/r/repo"
  git init -q --initial-branch=master "$work/r"
  git -C "$work/r" add .
  git -C "$work/r" -c user.name=t -c user.email=t@example.org commit -q -m 1
}

# Starts fermata-mirror with the given options; $address is where, when it serves.
start_mirror() {
  : >"$work/mirror.out"
  "$bin/fermata-mirror" --listen 127.0.0.1:0 "$@" >"$work/mirror.out" 2>"$work/mirror.log" &
  mirror_pid=$!
  children+=("$mirror_pid")
  within 60 grep -q '^serving' "$work/mirror.out"
  address=$(sed -n 's/^listening on //p' "$work/mirror.out")
}

# A port that nobody listens on, for programs that cannot take any.
free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}
