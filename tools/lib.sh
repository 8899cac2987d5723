# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the commands in this folder share: `. "$(dirname "$0")/lib.sh"`.

# install_packages FILE...: installs those of the named Debian packages (one a line, # comments)
# that are missing. Says nothing when all are there.
install_packages() {
  local missing=() name as_root=()
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
}

# took SECONDS: as a person says it.
took() { printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); }
