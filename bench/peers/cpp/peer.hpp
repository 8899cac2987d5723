// SPDX-License-Identifier: MIT
// The command line of a peer's program: as that of fermata-bench.
#pragma once

#include "measure.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>  // Boost 1.74's awaitable.hpp forgets it
#include <vector>

namespace bench {

struct peer_case {
  std::string_view name;
  void (*run)(const settings&);
};
struct peer_server {
  std::string_view name;
  void (*run)(std::uint16_t port);
};

inline int run_peer(int argc,
                    char** argv,
                    const std::vector<peer_case>& cases,
                    const std::vector<peer_server>& servers) {
  const std::string_view wanted = argc > 1 ? argv[1] : "";
  try {
    if (wanted == "list") {
      for (const peer_case& c : cases) std::printf("%s\n", std::string(c.name).c_str());
      return 0;
    }
    for (const peer_case& c : cases) {
      if (c.name == wanted) return c.run({}), 0;
    }
    for (const peer_server& s : servers) {
      if (s.name == wanted && argc == 3) {
        return s.run(static_cast<std::uint16_t>(std::atoi(argv[2]))), 0;
      }
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
    return 1;
  }
  std::fprintf(stderr, "usage: %s list | <case> | serve-echo <port> | serve-http <port>\n",
               argv[0]);
  return 2;
}

}  // namespace bench
