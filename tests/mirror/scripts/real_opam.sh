#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: real_opam.sh <folder of programs>
# The real opam client takes the whole opam repository from fermata-mirror.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/site.sh"
need opam git
data=$here/../../../../shared/data/opam-repository-depth1.git.tar
[ -e "$data" ] || skip "$data"

tar xf "$data" -C "$work"
repository=$work/opam-repository-depth1.git
start_mirror --remote "$repository"
export OPAMROOT=$work/root HOME=$work OPAMYES=1 OPAMCOLOR=never
unset OPAMSWITCH
opam init --bare --disable-sandboxing -n "$address" >"$work/init.log" 2>&1

# opam sees 5.5.0+introcaml and 5.5.0+introcaml0 as one version, so it has one less than the files.
files=$(git -C "$repository" ls-tree -r --name-only HEAD packages/ | grep -c '/opam$')
names=$(git -C "$repository" ls-tree --name-only HEAD packages/ | wc -l)
versions=$(opam list --all --short --all-versions 2>"$work/list.log" | wc -l)
[ "$versions" = $((files - 1)) ] || fail "opam lists $versions versions of $files files"
listed=$(opam list --all --short 2>"$work/list.log" | sort -u | wc -l)
[ "$listed" = "$names" ] || fail "opam lists $listed packages of $names"
opam show dune --field=name,synopsis >"$work/show.log" 2>&1
grep -qi 'dune' "$work/show.log" || fail "opam cannot show dune"
# Its solver finds a way from nothing to dune, with the compiler that it needs.
opam switch create solved --empty >"$work/switch.log" 2>&1
opam install --show-actions dune >"$work/actions.log" 2>&1
for package in dune ocaml ocaml-base-compiler; do
  grep -Eq "install +$package +[0-9]" "$work/actions.log" || fail "the solver installs no $package"
done
echo "opam has $versions versions of $listed packages"
