# SPDX-License-Identifier: MIT
# Sourced by tools/bench: files of three sizes from ours and from nginx with sendfile, in turn.

nginx_of_folder() { # FOLDER PORT
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;
  default_type text/plain; open_file_cache max=100;
  client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
  uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
  server { listen 127.0.0.1:$2; location /f/ { alias $1/; } } }
CONF
  mkdir "$work/nginx"
  chmod 755 "$work"
  taskset -c 0 nginx -c "$work/nginx.conf" -e "$work/nginx.log" &
  their_pid=$!
  children+=("$their_pid")
  wait_for_port "$2"
}

bench_files() {
  local folder=$work/files ours theirs our_pid their_pid name connections who
  mkdir "$folder"
  printf 'Hello, World!' >"$folder/hello"
  head -c 1024 /dev/urandom >"$folder/1k"
  head -c 10000000 /dev/urandom >"$folder/10m"
  chmod -R a+rX "$folder"
  ours=$(free_port)
  taskset -c 0 "$bin/fermata-bench" serve-http "$ours" "" "$folder" >"$work/ready" &
  our_pid=$!
  children+=("$our_pid")
  wait_for_port "$ours"
  theirs=$(free_port)
  nginx_of_folder "$folder" "$theirs"
  for name in hello 1k 10m; do
    connections=50
    [ "$name" != 10m ] || connections=4
    rm -f "$work"/*.rate "$work"/*.cpu
    for _ in $(seq "$runs"); do
      ask fermata "$our_pid" "$connections" "http://127.0.0.1:$ours/f/$name"
      ask nginx "$their_pid" "$connections" "http://127.0.0.1:$theirs/f/$name"
    done
    for who in fermata nginx; do
      figure files "$name $who" 1/s <"$work/$who.rate"
      figure files "$name $who CPU a request" us <"$work/$who.cpu"
    done
    ratio "$work/fermata.rate" "$work/nginx.rate" | figure files "$name rate fermata/nginx" ratio
    ratio "$work/fermata.cpu" "$work/nginx.cpu" | figure files "$name CPU fermata/nginx" ratio
  done
}

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
ask() { # NAME PID CONNECTIONS URL: a rate, and the server's CPU time a request
  local before
  before=$(ticks "$2")
  taskset -c 1 wrk -t1 -c"$3" -d3s "$4" >"$work/wrk"
  sed -n 's/^Requests\/sec: *//p' "$work/wrk" >>"$work/$1.rate"
  awk -v ticks=$(($(ticks "$2") - before)) -v hz="$(getconf CLK_TCK)" \
    '$2 == "requests" { print ticks / hz * 1e6 / $1 }' "$work/wrk" >>"$work/$1.cpu"
}
