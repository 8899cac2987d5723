// SPDX-License-Identifier: MIT
// A thread with a loop. The letter that stops it is made with it, so that stopping cannot fail.

#include <fermata/promise/loop_thread.hpp>

#include <atomic>
#include <future>

namespace fermata {

class loop_thread::stop_letter final : public letter {
public:
  void deliver() noexcept override {
    if (settle) settle.resolve();
  }
  void drop() noexcept override {}

  resolver<> settle;  // of the thread's loop
  std::atomic<bool> is_sent = false;
};

struct loop_thread::begin {
  std::promise<mailbox_ptr> letters;
};

loop_thread::loop_thread(loop_options options) : stop_(std::make_unique<stop_letter>()) {
  begin told;
  auto begun = told.letters.get_future();
  thread_ =
      std::thread([this, &told, o = std::move(options)]() mutable { run(std::move(o), told); });
  try {
    letters_ = begun.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

// `told` is gone once it has been used.
void loop_thread::run(loop_options options, begin& told) {
  std::unique_ptr<event_loop> loop;
  promise<> stopped;
  try {
    loop = std::make_unique<event_loop>(std::move(options));
    loop->run([&] {
      auto made = make_promise();
      stopped = std::move(made.future);
      stop_->settle = std::move(made.settle);
    });
  } catch (...) {
    told.letters.set_exception(std::current_exception());
    return;
  }
  std::exchange(told, begin{}).letters.set_value(loop->letters());
  try {
    loop->run([&] { return stopped; });
  } catch (...) {  // a hook of the user's
    loop->report_unobserved(std::current_exception());
  }
}

void loop_thread::stop() noexcept {
  if (!stop_->is_sent.exchange(true)) static_cast<void>(letters_->send(*stop_));
}

loop_thread::~loop_thread() {
  stop();
  thread_.join();
}

}  // namespace fermata
