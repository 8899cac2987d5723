// SPDX-License-Identifier: MIT
/// A certificate for 127.0.0.1 that is its own authority.
#pragma once

#include "support/temp_repository.hpp"

namespace fermata::test {

/// Makes `ca.pem` and its key `k.pem` in the folder.
inline void make_certificate(const temp_folder& folder) {
  folder.run(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
      "-keyout k.pem -out ca.pem -subj /CN=test -addext subjectAltName=IP:127.0.0.1 2>&1");
}

}  // namespace fermata::test
