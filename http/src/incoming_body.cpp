// SPDX-License-Identifier: MIT
// A body in pieces, however the server takes it.

#include <fermata/http/incoming_body.hpp>

#include <utility>

namespace fermata::http {

body_source body_of(const request& r) {
  if (incoming_body* const comes = r.incoming()) return [comes] { return comes->read(); };
  return [&r, given = false]() mutable {
    const bool first = !std::exchange(given, true);
    return ready(first ? shared_bytes(nullptr, r.body()) : shared_bytes());
  };
}

}  // namespace fermata::http
