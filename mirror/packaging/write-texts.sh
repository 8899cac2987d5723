#!/bin/sh
# SPDX-License-Identifier: MIT
# write-texts.sh PROGRAM FOLDER: what fermata-mirror says about itself, as files to install.
set -e
mkdir -p "$2"
for shell in bash fish; do "$1" --print-completion $shell > "$2/fermata-mirror.$shell"; done
"$1" --print-completion zsh > "$2/_fermata-mirror"
"$1" --remote https://github.com/ocaml/opam-repository.git --data /var/lib/fermata-mirror \
  --print-config > "$2/fermata-mirror.toml"
"$1" --print-manual > "$2/fermata-mirror.1"
gzip -9nf "$2/fermata-mirror.1"
