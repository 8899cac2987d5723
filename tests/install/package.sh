#!/bin/bash
# SPDX-License-Identifier: MIT
# package.sh SOURCE BUILD COMPILER VERSION LIBDIR: packs BUILD as Debian packages, and builds and runs
# stranger/promise.cpp against what the packages hold and nothing else.
# No "| head" or "| grep -q" here: what writes to them may end by SIGPIPE.
set -euo pipefail
source=$1 build=$2 compiler=$3 version=$4 libdir=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "package: $*"; exit 1; }

cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/packed" >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
architecture=$(dpkg --print-architecture)
dev=$work/packed/fermata-dev_$version-1_$architecture.deb
tools=$work/packed/fermata-tools_$version-1_$architecture.deb
mirror=$work/packed/fermata-mirror_$version-1_$architecture.deb

expect() { # package field value
  local got
  got=$(dpkg-deb -f "$1" "$2")
  [ "$got" = "$3" ] || fail "$(basename "$1"): $2 is '$got', not '$3'"
}
for deb in "$dev" "$tools" "$mirror"; do
  expect "$deb" Version "$version-1"
  expect "$deb" Architecture "$architecture"
  expect "$deb" Maintainer "The fermata authors <fermata@localhost.localdomain>"
  name=$(dpkg-deb -f "$deb" Package)
  description=$(dpkg-deb -f "$deb" Description)
  summary=${description%%$'\n'*}
  [ ${#summary} -le 80 ] || fail "$name: the summary has ${#summary} characters"
  [ "$(wc -l <<<"$description")" -gt 2 ] || fail "$name: no description"
  # Nothing outside /usr but configuration, nothing that is not root's, no folder that only its owner may enter.
  dpkg-deb -c "$deb" >"$work/list"
  if grep -vE '^(d|-)rwxr-xr-x root/root .* \./(usr/|etc/)|^-rw-r--r-- root/root .* \./(usr|etc)/' "$work/list"; then
    fail "$name: odd entries"
  fi
  for file in copyright changelog.gz changelog.Debian.gz; do
    grep -q " ./usr/share/doc/$name/$file$" "$work/list" || fail "$name: no $file"
  done
done
expect "$dev" Package fermata-dev
expect "$dev" Section libdevel
expect "$tools" Package fermata-tools
expect "$tools" Section net
expect "$mirror" Package fermata-mirror
expect "$mirror" Section net

# fermata-dev depends on the package of every .pc file that its own require.
dpkg-deb -x "$dev" "$work/dev"
depends=", $(dpkg-deb -f "$dev" Depends),"
for required in $(sed -n 's/^Requires: //p' "$work"/dev/usr/$libdir/pkgconfig/*.pc | tr ',' '\n' |
  grep -v fermata | sort -u); do
  file=$(pkg-config --variable=pcfiledir "$required")/$required.pc
  owner=$(dpkg -S "$file" | sed 's/:.*//')
  case $depends in
    *", $owner "* | *", $owner,"*) ;;
    *) fail "fermata-dev: $owner, which has $required.pc, is not in Depends" ;;
  esac
done

# The programs run, and what they are linked with is in Depends.
dpkg-deb -x "$tools" "$work/tools"
for program in fermata-probe fermata-git; do
  case $("$work/tools/usr/bin/$program" --version) in
    *"$version"*) ;;
    *) fail "$program does not run" ;;
  esac
done
for program in fermata-probe fermata-git; do
  gzip -t "$work/tools/usr/share/man/man1/$program.1.gz" || fail "$program: no manual"
done
dpkg-deb -x "$mirror" "$work/mirror"
for library in libc6 libstdc++6 libuv1 libcurl4; do
  case $(dpkg-deb -f "$mirror" Depends) in
    *"$library"*) ;;
    *) fail "fermata-mirror: no $library in Depends" ;;
  esac
done
case $(dpkg-deb -f "$mirror" Depends) in
  *libgit2*) fail "fermata-mirror: it needs libgit2" ;; # it reads git with what is ours
esac

case $(dpkg-deb -f "$mirror" Recommends) in
  *ca-certificates*) ;;
  *) fail "fermata-mirror: no ca-certificates in Recommends" ;; # the remote is https at first
esac

# The service: what the package brings, and its unit's command, which serves.
root=$work/mirror
[ "$(dpkg-deb -I "$mirror" conffiles)" = /etc/fermata-mirror/fermata-mirror.toml ] || fail "no conffile"
for file in etc/fermata-mirror/fermata-mirror.toml usr/lib/systemd/system/fermata-mirror.service \
  usr/lib/systemd/system/fermata-mirror.socket usr/share/man/man1/fermata-mirror.1.gz \
  usr/share/bash-completion/completions/fermata-mirror usr/share/zsh/vendor-completions/_fermata-mirror \
  usr/share/fish/vendor_completions.d/fermata-mirror.fish \
  usr/share/fermata-mirror/grafana-dashboard.json; do
  [ -s "$root/$file" ] || fail "fermata-mirror: no $file"
done
for script in postinst prerm postrm; do
  dpkg-deb -I "$mirror" $script >"$work/script"
  sh -n "$work/script" || fail "$script is no shell script"
done
gzip -t "$root/usr/share/man/man1/fermata-mirror.1.gz" || fail "the manual is no gzip"
bash -n "$root/usr/share/bash-completion/completions/fermata-mirror" || fail "bash completion"
if command -v systemd-analyze >/dev/null; then
  sed "s|/usr/bin/fermata-mirror|$root&|" "$root/usr/lib/systemd/system/fermata-mirror.service" >"$work/fermata-mirror.service"
  systemd-analyze verify --man=no "$work/fermata-mirror.service" >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "systemd does not take the unit"; }
fi
git init -q "$work/repository" && mkdir -p "$work/repository/packages/a/a.1"
echo 'opam-version: "2.0"' >"$work/repository/packages/a/a.1/opam"
git -C "$work/repository" add . && git -C "$work/repository" -c user.name=a -c user.email=a@b commit -qm a
sed "s|^remote = .*|remote = \"$work/repository\"|; s|^data = .*|data = \"$work/state\"|
  s|^listen = .*|listen = [\"127.0.0.1:0\"]|" "$root/etc/fermata-mirror/fermata-mirror.toml" >"$work/config.toml"
command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/fermata-mirror.service")
command=${command/\/usr\/bin/$root/usr/bin}
command=${command/\/etc\/fermata-mirror\/fermata-mirror.toml/$work/config.toml}
mkfifo "$work/said"
$command >"$work/said" 2>"$work/err" &
mirror_pid=$!
trap 'kill $mirror_pid 2>/dev/null || true; rm -rf "$work"' EXIT
while read -r line; do
  case $line in
    "listening on "*) address=${line#listening on } ;;
    "serving "*) break ;;
  esac
done <"$work/said"
curl -fsS "$address/repo" >"$work/repo" || fail "the service does not serve: $(cat "$work/err")"
grep -q stamp "$work/repo" || fail "/repo has no stamp"
kill $mirror_pid
wait $mirror_pid || fail "the service did not stop"
trap 'rm -rf "$work"' EXIT

cmake -S "$source/tests/install/stranger" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" \
  -DCMAKE_PREFIX_PATH="$work/dev/usr" -DCOMPONENT=promise >"$work/log" 2>&1 ||
  { cat "$work/log"; exit 1; }
grep -q "^fermata_DIR:PATH=$work/dev/usr/" "$work/build/CMakeCache.txt" ||
  fail "another fermata was found"
cmake --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$work/build/stranger"

export PKG_CONFIG_PATH=$work/dev/usr/$libdir/pkgconfig
# shellcheck disable=SC2046 # flags are words
"$compiler" "$source/tests/install/stranger/promise.cpp" -o "$work/by-pkg-config" \
  $(pkg-config --cflags --libs fermata-promise)
"$work/by-pkg-config"
