// SPDX-License-Identifier: MIT
/// Names of hosts and services, resolved without blocking the loop.
///
/// Shape:   as getaddrinfo(3) with the system's configuration, on the pool; a numeric host with a
///          numeric service needs no thread.
/// Pauses:  until the system has answered.
/// Thread:  loop.
/// Rejects: `error` (`cannot resolve no.such.host: unknown node or service (uv EAI_NONAME)`);
///          `cancelled`; `loop_closed`.
/// Cancel:  what has not started is dropped at once. A query that runs is waited for.
/// Cost:    that of `detach` and of the query; each query keeps a thread of the pool busy.
#pragma once

#include <fermata/promise/promise.hpp>
#include <fermata/promise/socket_address.hpp>

#include <string>
#include <vector>

namespace fermata {

struct resolve_options {
  resolve_options() {}        // no aggregate: safe as a default argument under g++ 12
  int family = AF_UNSPEC;     ///< AF_INET, AF_INET6 or both
  int kind = SOCK_STREAM;     ///< or SOCK_DGRAM: matters for services by name
  bool is_passive = false;    ///< to listen: an empty host is every address, else this host
  bool numeric_only = false;  ///< no query: a host that is a name is unknown
};

/// The addresses of `host` (a name, `127.0.0.1`, `::1`, `fe80::1%eth0`) with the port of `service`
/// (a number or a name such as `http`; empty: 0), in the order in which to try them; never none.
promise<std::vector<socket_address>> resolve(std::string host,
                                             std::string service,
                                             resolve_options options = {});

/// The name of the host at an address, as the system knows it.
/// Rejects: `error` also where it has none.
promise<std::string> host_name_of(socket_address address);

}  // namespace fermata
