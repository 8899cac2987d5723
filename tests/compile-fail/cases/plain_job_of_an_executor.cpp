// SPDX-License-Identifier: MIT
// An executor's jobs return promises; detach is for plain functions.
// refused: a job of an executor returns a promise: detach takes plain functions
#include <fermata/promise/executor.hpp>

int plain();
fermata::promise<int> job();

void start(fermata::executor& pool) {
#ifdef FERMATA_MISUSE
  auto p = pool.submit(plain);
#else
  auto p = pool.submit(job);
#endif
  fermata::cancel(p);
}
