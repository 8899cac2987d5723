# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# `tools/bench mirror`: fermata-mirror on the real repository, phase by phase as it says itself.
# Sourced by tools/bench, which gives $runs, $bin, $work, $data, $url and children.
# shellcheck disable=SC2154

repeats=500  # some ten compactions
small=opam-repository-depth1.git recent=opam-repository-recent.git
secret=bench-mirror  # who knows it is not told to wait between two updates

# start_mirror OPTION...: sets $mirror and $address once it serves.
start_mirror() {
  : >"$work/out"
  FERMATA_UPDATE_SECRET=$secret "$bin/fermata-mirror" --listen 127.0.0.1:0 --update-pause 0 "$@" \
    >"$work/out" 2>"$work/log" &
  mirror=$!
  children+=("$mirror")
  until grep -q '^serving' "$work/out"; do
    kill -0 "$mirror" 2>/dev/null || { tail -n 5 "$work/log" >&2; exit 1; }
    sleep 0.005
  done
  address=$(sed -n 's/^listening on //p' "$work/out")
}
stop_mirror() {
  kill "$mirror"
  wait "$mirror" || true
}
seconds_to_serve() { sed -n 's/^serving .*seconds=\([0-9.]*\).*/\1/p' "$work/out"; }
# Sum or maximum of a value of the phases from a fetch to the swapped index: of all lines after $3.
phases() { # sum|max KEY LINES
  tail -n "+$(($3 + 1))" "$work/log" | grep -oE 'phase finished phase=(fetch|walk|index|release|swap) .*' |
    awk -v how="$1" -v key="$2" '{ for (i = 1; i <= NF; i++) if (split($i, p, "=") == 2 && p[1] == key) {
      if (how == "sum") s += p[2]; else if (p[2] + 0 > s) s = p[2] } } END { print s + 0 }'
}
phase() { # PHASE KEY
  sed -n "s/.*phase finished phase=$1 .*\b$2=\([0-9]*\).*/\1/p" "$work/log" | tail -n 1
}
updates() { curl -s "$address/status.json" | sed -n 's/.*"updates":{[^}]*"done":\([0-9]*\).*/\1/p'; }
ask_for_update() {
  curl -s --fail -o /dev/null -H "X-Update-Secret: $secret" -X POST "$address/update"
}
update() { # asks for one and waits for its end
  local before read
  before=$(updates)
  read=$(grep -c 'finished phase=read' "$work/log") || true
  ask_for_update
  until [ "$(updates)" -gt "$before" ]; do sleep 0.005; done
  until [ "$(grep -c 'finished phase=read' "$work/log")" -gt "$read" ]; do sleep 0.005; done
}
wait_for_phase() { until [ -n "$(phase "$1" ms)" ]; do sleep 0.005; done; }
resident_mib() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$mirror/status" | awk '{ print $1 / 1024 }'; }

bench_start() { # from nothing, and after a restart with what was kept
  local f
  for f in start restart index_cpu index_bytes read_cpu; do : >"$work/$f"; done
  for _ in $(seq "$runs"); do
    rm -rf "$work/kept"
    start_mirror --remote "$url/$small" --skip-download --data "$work/kept"
    seconds_to_serve >>"$work/start"
    wait_for_phase save
    awk -v us="$(phase index cpu_us)" 'BEGIN { print us / 1e6 }' >>"$work/index_cpu"
    awk -v us="$(phase read cpu_us)" 'BEGIN { print us / 1e6 }' >>"$work/read_cpu"
    sed -n 's/^serving .*bytes=\([0-9]*\).*/\1/p' "$work/out" >>"$work/index_bytes"
    stop_mirror
    start_mirror --remote "$url/$small" --skip-download --data "$work/kept"
    seconds_to_serve >>"$work/restart"
    stop_mirror
  done
  figure mirror_start "start to first index" s <"$work/start"
  figure mirror_start "restart to serving" s <"$work/restart"
  figure mirror_index "CPU" s <"$work/index_cpu"
  figure mirror_index "size" B <"$work/index_bytes"
  figure mirror_read "all opam files, CPU" s <"$work/read_cpu"
}

bench_update() { # 30 merges
  local lines f
  for f in cpu gap_cpu gap; do : >"$work/$f"; done
  for _ in $(seq "$runs"); do
    rm -rf "$work/moving.git" "$work/kept-recent"
    cp -r "$data/$recent" "$work/moving.git"
    git -C "$work/moving.git" update-ref refs/heads/master old
    start_mirror --remote "$moving/moving.git#master" --skip-download --data "$work/kept-recent"
    wait_for_phase read
    git -C "$work/moving.git" update-ref refs/heads/master new
    lines=$(wc -l <"$work/log")
    update
    awk -v us="$(phases sum cpu_us "$lines")" 'BEGIN { print us / 1000 }' >>"$work/cpu"
    awk -v us="$(phases max longest_gap_cpu_us "$lines")" 'BEGIN { print us / 1000 }' >>"$work/gap_cpu"
    awk -v us="$(phases max longest_gap_us "$lines")" 'BEGIN { print us / 1000 }' >>"$work/gap"
    stop_mirror
  done
  figure mirror_update "30 merges, CPU" ms <"$work/cpu"
  figure mirror_update "30 merges, longest gap, CPU" ms <"$work/gap_cpu"
  figure mirror_update "30 merges, longest gap, wall" ms <"$work/gap"
}

# Commits that each add a version of a package, on top of what stands in moving.git.
make_commits() {
  local i
  {
    for i in $(seq "$repeats"); do
      echo "commit refs/heads/later"
      echo "committer Bench <bench@example.org> $((1800000000 + i)) +0000"
      echo "data 6"
      echo "update"
      [ "$i" != 1 ] || echo "from $(git -C "$work/moving.git" rev-parse new)"
      local name=zz-bench-$((i % 20)) text="opam-version: \"2.0\" # $i"
      echo "M 100644 inline packages/$name/$name.$i/opam"
      echo "data ${#text}"
      echo "$text"
    done
    echo "done"
  } | git -C "$work/moving.git" fast-import --quiet --done
}

bench_memory() {
  local early late i commit
  make_commits
  git -C "$work/moving.git" update-ref refs/heads/master new
  start_mirror --remote "$moving/moving.git#master" --skip-download --data "$work/kept-updates"
  wait_for_phase save
  : >"$work/cpu"
  i=0
  for commit in $(git -C "$work/moving.git" rev-list --reverse new..later); do
    git -C "$work/moving.git" update-ref refs/heads/master "$commit"
    lines=$(wc -l <"$work/log")
    update
    awk -v us="$(phases sum cpu_us "$lines")" 'BEGIN { print us / 1000 }' >>"$work/cpu"
    i=$((i + 1))
    [ "$i" != 100 ] || early=$(resident_mib)
  done
  late=$(resident_mib)
  figure mirror_update "a commit, CPU" ms <"$work/cpu"
  awk -v us="$(phase compact cpu_us)" 'BEGIN { print us / 1000 }' | figure mirror_compact "CPU" ms
  awk -v us="$(phase compact longest_gap_cpu_us)" 'BEGIN { print us / 1000 }' |
    figure mirror_compact "longest gap, CPU" ms
  echo "$early" | figure mirror_memory "after 100 updates" MiB
  echo "$late" | figure mirror_memory "after $repeats updates" MiB
  stop_mirror
}

# Every 5 ms a question whether the index changed, which it does not for `*`.
ask_whether_changed() { # CASE SECONDS [WRAPPER...]
  "${@:3}" "$bin/fermata-probe" "$address/index.tar.gz" --if-none-match '*' --interval-us 5000 --seconds "$2" \
    --json </dev/null >"$work/probe"
  grep -o "\"p99_us\":[0-9]*" "$work/probe" | sed -n 1p | cut -d: -f2 | awk "{ print \$1 / 1000 }" >>"$work/p99.$1"
  grep -o "\"p99_us\":[0-9]*" "$work/probe" | sed -n 2p | cut -d: -f2 | awk "{ print \$1 / 1000 }" >>"$work/late.$1"
}
bench_conditional() { # p99 while the mirror does other things
  local f downloads commit ahead=()
  ! chrt -r 1 true 2>/dev/null || ahead=(chrt -r 1)
  for f in clone update downloads; do : >"$work/p99.$f"; : >"$work/late.$f"; done
  for _ in $(seq "$runs"); do
    git -C "$work/moving.git" update-ref refs/heads/master old
    rm -rf "$work/kept"
    start_mirror --remote "$moving/moving.git#master" --skip-download --data "$work/kept"
    wait_for_phase save
    stop_mirror
    rm -f "$work/kept"/*store*  # the index is served, the repository is cloned anew
    start_mirror --remote "$moving/moving.git#master" --skip-download --data "$work/kept"
    ask_whether_changed clone 2
    wait_for_phase read
    for commit in new old new old; do
      git -C "$work/moving.git" update-ref refs/heads/master "$commit"
      ask_for_update
      ask_whether_changed update 0.5
    done
    # A core for the mirror, one for its clients: one process, where twenty would be twenty starts a
    # second. The probe shares it and is to measure the mirror, not its wait for curl.
    taskset -a -p -c 0 "$mirror" >/dev/null
    for _ in $(seq 4000); do printf 'url = "%s/index.tar.gz"\noutput = "/dev/null"\n' "$address"; done |
      taskset -c 1 curl -s --no-progress-meter --parallel --parallel-immediate --parallel-max 20 --limit-rate 4M --config - &
    downloads=$!
    ask_whether_changed downloads 3 taskset -c 1 "${ahead[@]}"
    kill "$downloads" 2>/dev/null || true  # or it is through with all
    wait "$downloads" 2>/dev/null || true
    stop_mirror
  done
  for f in clone update downloads; do
    figure mirror_conditional "p99 during $f" ms <"$work/p99.$f"
    figure mirror_conditional "p99 of the probe's own lateness during $f" ms <"$work/late.$f"
  done
}

bench_mirror() {
  local port
  bench_start
  if ! git -C "$data/$recent" rev-parse --quiet --verify old >/dev/null; then
    echo "no tag old: updates are not measured" >&2
    return
  fi
  port=$(free_port)
  git daemon --export-all --reuseaddr --base-path="$work" --listen=127.0.0.1 --port="$port" &
  children+=($!)
  wait_for_port "$port"
  moving=git://127.0.0.1:$port
  bench_update
  bench_conditional
  bench_memory
}
