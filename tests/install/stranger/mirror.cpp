// SPDX-License-Identifier: MIT

#include <fermata/mirror/index_builder.hpp>
#include <fermata/mirror/pages.hpp>

int main() {
  namespace mirror = fermata::mirror;
  const bool right = mirror::is_plain_host("example.org") && mirror::path_fault("packages").empty();
  return right ? 0 : 1;
}
