// SPDX-License-Identifier: MIT
// libuv's loop, and a handle that keeps it alive.
#pragma once

#include <fermata/loop/event_loop.hpp>

namespace fermata {

struct event_loop::libuv_loop {
  uv_loop_t loop;
  uv_prepare_t keeper;  // without one that is active, unreferenced handles would not run
};

}  // namespace fermata
