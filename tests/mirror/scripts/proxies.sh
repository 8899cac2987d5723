#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: proxies.sh <folder of programs>
# nginx, Varnish and Caddy in front of fermata-mirror, with the configurations that are installed
# beside it: a second request for an archive does not reach the mirror, and what was served once is
# served on when the mirror is gone.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
need nginx varnishd curl git
conf=$(cd "$here/../../../mirror/packaging/proxies" && pwd)

# run_nginx NAME: with the servers on standard input.
run_nginx() {
  mkdir "$work/$1"
  chmod 777 "$work/$1"
  {
    echo "daemon off; worker_processes 1; pid $work/$1.pid; error_log $work/$1.log;"
    echo "events { worker_connections 256; } http { access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $work/$1/$kind;"; done
    cat
    echo "}"
  } >"$work/$1.conf"
  nginx -c "$work/$1.conf" -e "$work/$1.log" 2>>"$work/$1.log" &
  children+=($!)
}

# Where the archive comes from.
archive_port=$(free_port)
archive_url=http://127.0.0.1:$archive_port/
run_nginx archives <<<"server { listen 127.0.0.1:$archive_port; root $work/upstream; }"
make_repository
start_mirror --remote "$work/r" --access-log "$work/access" --data "$work/data"
mirror_port=${address##*:}

# How many requests for a path have reached the mirror. Its log is in order: when a request that was
# sent last stands in it, so do all before that.
reached() {
  local mark
  mark=$(date +%s%N)
  curl -sf -o "$work/mark" "$address/healthz?$mark"
  within 20 grep -q "healthz?$mark " "$work/access"
  grep -c "\"GET $1 " "$work/access" || true
}
get() { curl -sf -o "$work/got" -D "$work/head" "$@"; }

# check_archive NAME URL: asked for four times, it reaches the mirror once.
check_archive() {
  local before
  before=$(reached "$archive_path")
  for i in 1 2 3; do
    get "$2$archive_path" || fail "$1: no archive (request $i)"
    cmp -s "$work/got" "$work/upstream/a.tar.gz" || fail "$1: another archive"
  done
  grep -qi '^X-Cache: HIT' "$work/head" || fail "$1: no hit"
  get -r 10-19 "$2$archive_path"
  [ "$(wc -c <"$work/got")" = 10 ] || fail "$1: no range"
  [ "$(($(reached "$archive_path") - before))" = 1 ] || fail "$1: the archive was asked for again"
  echo "$1: one request of four for an archive reached the mirror"
}
# check_cache NAME PORT: what every cache in front must do.
check_cache() {
  local front=http://127.0.0.1:$2 before
  within 20 get "$front/healthz"
  [ -z "$has_archives" ] || check_archive "$1" "$front"
  before=$(reached /index.tar.gz)
  for _ in $(seq 20); do get "$front/index.tar.gz"; done
  gzip -t <"$work/got" || fail "$1: no index"
  [ "$(($(reached /index.tar.gz) - before))" -lt 15 ] || fail "$1: the index is not kept for a second"
  get "$front/status"
  grep -q '</html>' "$work/got" || fail "$1: no status page"
  curl -sN --max-time 3 "$front/status/events" >"$work/events" || true
  grep -q '^data: ' "$work/events" || fail "$1: no events"
  [ "$(curl -s -o "$work/got" -w '%{http_code}' -X POST "$front/update")" = 202 ] ||
    fail "$1: no update"
}
# What is left when the mirror is gone.
check_stale() {
  local front=http://127.0.0.1:$2
  [ -z "$has_archives" ] || get "$front$archive_path" || fail "$1: no archive without the mirror"
  get "$front/index.tar.gz" || fail "$1: no index without the mirror"
}

has_archives=
! get "$address$archive_path" || has_archives=yes
nginx_port=$(free_port)
sed -e "s/127.0.0.1:8080/127.0.0.1:$mirror_port/" -e "s/listen 80;/listen 127.0.0.1:$nginx_port;/" \
  -e "s|/var/cache/nginx/opam|$work/nginx/cache|" "$conf/nginx.conf" >"$work/front.conf"
run_nginx nginx <"$work/front.conf"
check_cache nginx "$nginx_port"

varnish_port=$(free_port)
sed -e "s/\"8080\"/\"$mirror_port\"/" "$conf/varnish.vcl" >"$work/varnish.vcl"
varnishd -F -j none -n "$work/varnish" -a "127.0.0.1:$varnish_port" -f "$work/varnish.vcl" \
  -s malloc,64m -T none >"$work/varnish.log" 2>&1 &
children+=($!)
check_cache varnish "$varnish_port"

if command -v caddy >/dev/null; then
  caddy_port=$(free_port)
  {
    printf '{\n\tadmin off\n\tauto_https off\n}\n'
    sed -e "s/^opam.example.org/http:\/\/127.0.0.1:$caddy_port/" \
      -e "s/127.0.0.1:8080/127.0.0.1:$mirror_port/" "$conf/Caddyfile"
  } >"$work/Caddyfile"
  HOME=$work XDG_DATA_HOME=$work XDG_CONFIG_HOME=$work \
    caddy run --adapter caddyfile --config "$work/Caddyfile" >"$work/caddy.log" 2>&1 &
  children+=($!)
  within 20 get "http://127.0.0.1:$caddy_port/index.tar.gz"
  gzip -t <"$work/got" || fail "caddy: no index"
  curl -sN --max-time 3 "http://127.0.0.1:$caddy_port/status/events" >"$work/events" || true
  grep -q '^data: ' "$work/events" || fail "caddy: no events"
  echo "caddy: the mirror is reached"
fi

kill "$mirror_pid"
wait "$mirror_pid" || true
check_stale nginx "$nginx_port"
check_stale varnish "$varnish_port"
echo "both serve on without the mirror"
