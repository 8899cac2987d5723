# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# `tools/bench git`: clones, indexing and reading beside git, libgit2, and go-git and dulwich (in
# memory) where their Debian packages are installed: golang-github-go-git-go-git-dev,
# python3-dulwich. Sourced by tools/bench, which gives $runs, $bin, $work, $data, $url and figure.
# shellcheck disable=SC2154

# Prepares the peers: each is `peer_NAME URL`.
peer_git() { git -c pack.threads=1 clone --quiet --bare "$1" "$work/clone"; }
peer_git2threads() { git -c pack.threads=2 clone --quiet --bare "$1" "$work/clone"; }
peer_libgit2() { "$bin/fermata-git-bench" clone "$1" "$work/clone"; }
peer_fermata() { "$bin/fermata-git" clone "$1"; }
peer_fermata-fast() { "$bin/fermata-git" clone "$1" --verify fast; }
peer_go-git() { "$work/go-git" "$1"; }
peer_dulwich() { /usr/bin/python3 "$work/by_dulwich.py" "$1"; } # Debian's, which has the package

find_peers() {
  peers=(git git2threads)
  local go=$work/go/src/bench # a module, in a GOPATH: only so are the paths with /v5 found
  mkdir -p "$go"
  echo 'module bench' >"$go/go.mod"
  cat >"$go/main.go" <<'GO'
package main

import (
	"os"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/storage/memory"
)

func main() {
	_, err := git.Clone(memory.NewStorage(), nil, &git.CloneOptions{URL: os.Args[1]})
	if err != nil {
		panic(err)
	}
}
GO
  if (cd "$go" && GO111MODULE=off GOPATH=$work/go:/usr/share/gocode go build -o "$work/go-git" .) 2>/dev/null; then
    peers+=(go-git)
  else
    echo "no go-git: its figures are left out" >&2
  fi
  cat >"$work/by_dulwich.py" <<'PY'
import sys
from dulwich.client import get_transport_and_path
from dulwich.repo import MemoryRepo
client, path = get_transport_and_path(sys.argv[1])
repo = MemoryRepo()
# HEAD alone: dulwich 0.21 takes the "shallow" lines of the server for refs.
client.fetch(path, repo, determine_wants=lambda refs, depth=None: [refs[b"HEAD"]])
if not any(True for _ in repo.object_store):
    sys.exit("nothing came")
PY
  if /usr/bin/python3 -c 'import dulwich' 2>/dev/null; then
    peers+=(dulwich)
  else
    echo "no dulwich: its figures are left out" >&2
  fi
}

# measured FILE COMMAND...: appends "CPU-seconds wall-seconds MiB" of a function in a shell of its own.
measured() {
  local out=$1
  shift
  python3 - "$out" bash -c "$(declare -p bin work); $(declare -f "$1"); $*" <<'PY'
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[2:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
wall = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "a") as out:
    print(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, file=out)
PY
  rm -rf "$work/clone"
}
column() { awk -v n="$1" '{ print $n }' "$2"; }

bench_clones() { # REPOSITORY PEER...
  local repo=$1 peer
  shift
  for peer in "$@"; do : >"$work/of-$peer"; done
  for _ in $(seq "$runs"); do
    for peer in "$@"; do measured "$work/of-$peer" "peer_$peer" "$url/$repo"; done
  done
  for peer in "$@"; do
    column 1 "$work/of-$peer" | figure git_clone_cpu "$repo $peer" s
    column 2 "$work/of-$peer" | figure git_clone_wall "$repo $peer" s
    column 3 "$work/of-$peer" | figure git_clone_peak_rss "$repo $peer" MiB
    case $peer in
      fermata*) ;;
      *)
        for ours in fermata fermata-fast; do
          ratio <(column 1 "$work/of-$ours") <(column 1 "$work/of-$peer") |
            figure git_clone_cpu "$repo $ours/$peer" ratio
        done
        ratio <(column 2 "$work/of-fermata") <(column 2 "$work/of-$peer") |
          figure git_clone_wall "$repo fermata/$peer" ratio ;;
    esac
  done
}

bench_stats() { # REPOSITORY: what a clone says of itself
  : >"$work/stats"
  for _ in $(seq "$runs"); do "$bin/fermata-git" clone "$url/$1" --stats >>"$work/stats"; done
  for name in longest_turn_us settled_rss_bytes peak_rss_bytes; do
    field $name <"$work/stats" | figure git_clone_stats "$1 $name" "${name##*_}"
  done
  : >"$work/budget"; : >"$work/greedy"
  for _ in $(seq "$runs"); do
    for policy in budget greedy; do
      "$bin/fermata-availability" --remote "$url/$1" --phases clone --no-probe --policy $policy |
        field cpu_s >>"$work/$policy"
    done
  done
  ratio "$work/budget" "$work/greedy" | figure clone_policy "$1 budget/greedy" ratio
}

bench_index() { # REPOSITORY: the pack alone, from a file
  local pack
  pack=$(find "$data/$1/" -name '*.pack' | head -n 1)
  : >"$work/ours"; : >"$work/git"
  for _ in $(seq "$runs"); do
    cpu_of "$bin/fermata-git" index-pack "$pack" >>"$work/ours"
    cpu_of git index-pack --threads=1 -o "$work/out.idx" "$pack" >>"$work/git"
    rm -f "$work"/out.*
  done
  figure git_index_pack_cpu "$1 fermata" s <"$work/ours"
  figure git_index_pack_cpu "$1 git" s <"$work/git"
  ratio "$work/ours" "$work/git" | figure git_index_pack_cpu "$1 fermata/git" ratio
}

# libgit2 1.5 cannot read what a shallow repository says first: it gets a server of its own, with one
# commit that has no parents and the same tree.
bench_libgit2() {
  local port whole=$work/served/whole.git commit
  git clone --quiet --bare "$data/$small" "$whole" 2>/dev/null
  commit=$(git -C "$whole" -c user.name=bench -c user.email=bench commit-tree -m whole 'HEAD^{tree}')
  rm -f "$whole/shallow"
  git -C "$whole" update-ref HEAD "$commit"
  git -C "$whole" repack -adq
  port=$(free_port)
  git daemon --export-all --reuseaddr --base-path="$work/served" --listen=127.0.0.1 --port="$port" &
  children+=($!)
  wait_for_port "$port"
  url=git://127.0.0.1:$port bench_clones whole.git fermata fermata-fast libgit2
}

bench_git() {
  local peers
  find_peers
  for repo in "$small" "$large"; do
    [ "$repo" = "$small" ] || peers=(git git2threads)
    bench_clones "$repo" fermata fermata-fast "${peers[@]}"
    bench_stats "$repo"
    bench_index "$repo"
    "$bin/fermata-git-bench" compare "$data/$repo"
  done
  bench_libgit2
}
