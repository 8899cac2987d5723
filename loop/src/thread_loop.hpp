// SPDX-License-Identifier: MIT
// The thread's pointer to its loop: the only changing global of fermata.
#pragma once

namespace fermata {

class event_loop;
extern thread_local constinit event_loop* current_loop;

}  // namespace fermata
