// SPDX-License-Identifier: MIT
// The cases and servers of fermata-bench; each stands in the file of its family.
#pragma once

#include "measure.hpp"

#include <cstdint>
#include <string>

namespace bench {

void run_settled(const settings& s);        // c1
void run_pending(const settings& s);        // c2
void run_pauses(const settings& s);         // c3
void run_sort(const settings& s);           // c4
void run_join(const settings& s);           // c5
void run_queue(const settings& s);          // c6
void run_detach(const settings& s);         // c7
void run_sleepers(const settings& s);       // c9
void run_one_hog(const settings& s);        // c12
void run_many_hogs(const settings& s);      // c12m
void run_checking_hogs(const settings& s);  // c12k
void run_trace(const settings& s);          // trace

/// Each serves on 127.0.0.1 until SIGTERM or SIGINT, and prints "ready" once it listens.
void serve_echo(std::uint16_t port);
void serve_fib(std::uint16_t port, unsigned workers);
void serve_http(std::uint16_t port, const std::string& file, const std::string& folder);

}  // namespace bench
