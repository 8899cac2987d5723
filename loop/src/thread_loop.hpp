// SPDX-License-Identifier: MIT
// The thread's pointers to its loops: the only changing globals of fermata.
#pragma once

namespace fermata {

class event_loop;
extern thread_local constinit event_loop* running_loop;
extern thread_local constinit event_loop* newest_loop;  // made last; the others follow by older_

}  // namespace fermata
