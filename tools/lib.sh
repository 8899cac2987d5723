# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the commands in this folder share: `. "$(dirname "$0")/lib.sh"`.

# install_packages FILE...: installs those of the named Debian packages (one a line, # comments)
# that are missing, and leaves their names in `installed_now`. Says nothing when all are there.
installed_now=()
as_root=()
install_packages() {
  local missing=() name
  while read -r name; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
      missing+=("$name")
  done < <(grep -hv -e '^#' -e '^$' -- "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      { echo "cannot install ${missing[*]}: neither root nor sudo" >&2; return 1; }
    as_root=(sudo)
  fi
  echo "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq >/dev/null || true # an old list may do
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null </dev/null ||
    { echo "cannot install ${missing[*]}" >&2; return 1; }
  installed_now=("${missing[@]}")
}

# stop_services PACKAGE:SERVICE...: the servers that packages installed just now have started.
stop_services() {
  local pair
  for pair; do
    case " ${installed_now[*]} " in *" ${pair%:*} "*) ;; *) continue ;; esac
    if [ -d /run/systemd/system ]; then
      "${as_root[@]}" systemctl --quiet disable --now "${pair#*:}" || true
    else
      "${as_root[@]}" service "${pair#*:}" stop >/dev/null 2>&1 || true
    fi
  done
}

# took SECONDS: as a person says it.
took() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }
