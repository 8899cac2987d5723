// SPDX-License-Identifier: MIT
// Steps that nobody may come between, although there is a check.

#include <fermata/promise/combine.hpp>
#include <fermata/promise/pause.hpp>

#include <cstdio>

using fermata::promise;

namespace {

struct accounts {
  long ours = 100;
  long theirs = 0;
};

// [no_pause]
promise<> transfer(accounts& a, long amount) {
  const fermata::no_pause whole;  // nobody may see the sum between the two
  for (long i = 0; i < amount; ++i) {
    --a.ours;
    co_await fermata::maybe_pause();  // goes on
    ++a.theirs;
  }
}
// [/no_pause]

promise<> transfer_all(accounts& a) {
  for (int i = 0; i < 50; ++i) {
    co_await transfer(a, 2);
    co_await fermata::maybe_pause();
  }
}

promise<> audit(const accounts& a, int& wrong) {
  for (int i = 0; i < 100; ++i) {
    wrong += a.ours + a.theirs == 100 ? 0 : 1;
    co_await fermata::pause();
  }
}

promise<> run(accounts& a, int& wrong) {
  promise<> transfers = transfer_all(a);
  promise<> audits = audit(a, wrong);
  co_await fermata::join(transfers, audits);
}

}  // namespace

int main() {
  fermata::loop_options options;
  options.when = fermata::policy::always();
  fermata::event_loop loop(std::move(options));
  accounts a;
  int wrong = 0;
  loop.run([&] { return run(a, wrong); });
  std::printf("%ld and %ld, seen wrong %d times\n", a.ours, a.theirs, wrong);
}
