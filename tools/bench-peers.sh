# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# `tools/bench cases` and `tools/bench servers`: fermata-bench beside the programs of the peers.
# Sourced by tools/bench, which gives $runs, $root, $bin, $work, free_port and children.
# shellcheck disable=SC2154

# Lines "program bench figure unit value" on stdin; one JSON line a figure and program. Ours names
# the best peer by its median and the ratio to it: under 1 is ahead, but for rates (1/s, jobs/s) over 1.
summarise() {
  awk '
    function middle(v, n,   i, k, t) { # sorts v
      for (i = 2; i <= n; i++) {
        t = v[i]
        for (k = i - 1; k > 0 && v[k] > t; k--) v[k + 1] = v[k]
        v[k + 1] = t
      }
      return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    function better(a, b, u) { return u ~ /\/s$/ ? a > b : a < b }
    {
      key = $1 " " $2 " " $3
      if (!(key in count)) order[++keys] = key
      unit[key] = $4
      value[key, ++count[key]] = $5
    }
    END {
      for (i = 1; i <= keys; i++) {
        key = order[i]
        n = count[key]
        for (k = 1; k <= n; k++) v[k] = value[key, k]
        m = median[key] = middle(v, n)
        low[key] = v[1]; high[key] = v[n]
        for (k = 1; k <= n; k++) v[k] = v[k] > m ? v[k] - m : m - v[k]
        mad[key] = middle(v, n)
        split(key, part, " ")
        figure = part[2] " " part[3]
        if (part[1] != "fermata" && (!(figure in best) || better(m, median[best[figure]], unit[key])))
          best[figure] = key
      }
      for (i = 1; i <= keys; i++) {
        key = order[i]
        split(key, part, " ")
        figure = part[2] " " part[3]
        printf "{\"bench\":\"%s\",\"case\":\"%s\",\"program\":\"%s\",\"unit\":\"%s\",\"runs\":%d,", part[2], part[3], part[1], unit[key], count[key]
        printf "\"median\":%g,\"mad\":%g,\"min\":%g,\"max\":%g", median[key], mad[key], low[key], high[key]
        if (part[1] == "fermata" && figure in best && median[best[figure]] > 0) {
          split(best[figure], peer, " ")
          printf ",\"best_peer\":\"%s\",\"ratio\":%.3f", peer[1], median[key] / median[best[figure]]
        }
        print "}"
      }
    }'
}

declare -A program=([fermata]=$bin/fermata-bench) # by name
names=(fermata)                                   # in the order they are run
peers_out=$root/build/peers
build_peers() {
  local name command
  bench/peers/build "$peers_out" >"$work/peers"
  while read -r name command; do
    program[$name]=$command
    names+=("$name")
  done <"$work/peers"
}

# Each case by each program that has it, in rounds, so that all meet the same noise.
bench_cases() { # [CASE...]
  local wanted=("$@") name c
  [ $# -gt 0 ] || mapfile -t wanted < <("$bin/fermata-bench" list)
  export HOG_SECONDS=${HOG_SECONDS:-3}
  for name in "${names[@]}"; do "${program[$name]}" list >"$work/list.$name"; done
  for c in "${wanted[@]}"; do
    if ! grep -qx "$c" "$work/list.fermata"; then
      echo "tools/bench: no case is called '$c', see fermata-bench list" >&2
      exit 2
    fi
  done
  for c in "${wanted[@]}"; do
    for _ in $(seq "$runs"); do
      for name in "${names[@]}"; do
        grep -qx "$c" "$work/list.$name" || continue
        "${program[$name]}" "$c" | sed "s/^/$name $c /"
      done
    done >"$work/figures"
    summarise <"$work/figures"
  done
}

# serve NAME WORD...: starts a server on core 0 and a free port, $port, and waits until it is ready.
serve() {
  local name=$1 kind=$2
  shift 2
  port=$(free_port)
  : >"$work/ready"
  taskset -c "$core" "${program[$name]}" "$kind" "$port" "$@" >"$work/ready" &
  server=$!
  children+=("$server")
  until grep -q '^ready' "$work/ready"; do
    kill -0 "$server" 2>/dev/null || { echo "$name $kind ended" >&2; return 1; }
    sleep 0.02
  done
}
stop_server() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}

serve_nginx() { # "/" as the others answer it
  port=$(free_port)
  mkdir -p "$work/hello"
  cat >"$work/hello.conf" <<CONF
daemon off; worker_processes 1; pid $work/hello.pid; error_log $work/hello.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; tcp_nodelay on;
  client_body_temp_path $work/hello; proxy_temp_path $work/hello; fastcgi_temp_path $work/hello;
  uwsgi_temp_path $work/hello; scgi_temp_path $work/hello;
  server { listen 127.0.0.1:$port; default_type text/plain; location = / { return 200 "Hello, World!"; } } }
CONF
  chmod 755 "$work"
  taskset -c 0 nginx -c "$work/hello.conf" -e "$work/hello.log" &
  server=$!
  children+=("$server")
  wait_for_port "$port"
}

# The server on core 0, the load on core 1, 50 connections, 3 s.
bench_echo() {
  local name
  for _ in $(seq "$runs"); do
    for name in "${names[@]}"; do
      serve "$name" serve-echo || continue
      taskset -c 1 "$peers_out/load_echo" "$port" 50 3 | sed "s/^/$name echo /"
      stop_server
    done
  done >"$work/figures"
  summarise <"$work/figures"
}
bench_http() {
  local name
  for _ in $(seq "$runs"); do
    for name in "${names[@]}" nginx; do
      case $name in
        libuv | lwt) continue ;; # no HTTP server comes with them
        nginx) serve_nginx ;;
        *) serve "$name" serve-http || continue ;;
      esac
      taskset -c 1 wrk -t1 -c50 -d3s --latency "http://127.0.0.1:$port/" | awk -v name="$name" '
        function us(t) { return t ~ /us$/ ? t + 0 : t ~ /ms$/ ? t * 1000 : t * 1e6 }
        $1 == "99%" { print name, "http p99 us", us($2) }
        $1 == "Requests/sec:" { print name, "http rate 1/s", $2 }'
      stop_server
    done
  done >"$work/figures"
  summarise <"$work/figures"
}
# On all cores: one and two workers beside the loop, which is asked too.
bench_fib() {
  local workers
  for _ in $(seq "$runs"); do
    for workers in 1 2; do
      serve fermata serve-fib "$workers"
      "$peers_out/load_fib" "$port" 30 3 | sed "s/^/fermata fib${workers} /"
      stop_server
    done
  done >"$work/figures"
  summarise <"$work/figures"
  paste -d' ' <(grep ' fib2 rate' "$work/figures") <(grep ' fib1 rate' "$work/figures") |
    awk '{ print "fermata fib two_workers_over_one ratio", $5 / $10 }' | summarise
}
bench_servers() {
  core=0 bench_echo
  core=0 bench_http
  core=0-$(($(nproc) - 1)) bench_fib
}
