// SPDX-License-Identifier: MIT
// Signals by libuv, whose callback only settles promises: nobody's code runs inside it.

#include <fermata/promise/signals.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <deque>

namespace fermata {
namespace detail {

class signal_watch final : private loop_resident {
public:
  explicit signal_watch(const std::vector<int>& signals) {
    event_loop& loop = event_loop::current();
    try {
      for (const int number : signals) start(loop, number);
    } catch (...) {
      close();
      throw;
    }
    move_in(loop);
  }
  signal_watch(const signal_watch&) = delete;
  signal_watch& operator=(const signal_watch&) = delete;
  ~signal_watch() { close(); }

  promise<int> next() {
    if (handles_.empty()) return rejected<int>(loop_closed());
    if (!kept_.empty()) {
      const int number = kept_.front();
      kept_.pop_front();
      return ready(number);
    }
    std::erase_if(waiting_, [](const auto& w) { return !w.is_waiting(); });
    auto made = make_promise<int>();
    waiting_.push_back(std::move(made.settle));
    return std::move(made.future);
  }

private:
  void start(event_loop& loop, int number) {
    auto handle = std::make_unique<uv_signal_t>();
    int code = uv_signal_init(loop.uv(), handle.get());
    if (code == 0) {
      handles_.push_back(handle.release());
      handles_.back()->data = this;
      code = uv_signal_start(
          handles_.back(),
          [](uv_signal_t* h, int came) { static_cast<signal_watch*>(h->data)->take(came); },
          number);
    }
    if (code < 0) throw uv_error(code, fmt::format("cannot watch signal {}", number));
  }
  void take(int number) {
    while (!waiting_.empty()) {
      resolver<int> first = std::move(waiting_.front());
      waiting_.pop_front();
      if (first.is_waiting() && first.resolve(number)) return;
    }
    if (std::find(kept_.begin(), kept_.end(), number) == kept_.end()) kept_.push_back(number);
  }
  void loop_ends() noexcept override { close(); }
  void close() noexcept {
    for (uv_signal_t* h : std::exchange(handles_, {})) {
      uv_close(reinterpret_cast<uv_handle_t*>(h),
               [](uv_handle_t* closed) { delete reinterpret_cast<uv_signal_t*>(closed); });
    }
  }

  std::vector<uv_signal_t*> handles_;
  std::deque<int> kept_;
  std::deque<resolver<int>> waiting_;
};

void signal_watch_deleter::operator()(signal_watch* w) const noexcept { delete w; }

}  // namespace detail

signal_source::signal_source(const std::vector<int>& signals)
    : watch_(new detail::signal_watch(signals)) {}

promise<int> signal_source::next() {
  if (watch_ == nullptr) throw contract_error("a signal source that was moved from is used");
  return watch_->next();
}

}  // namespace fermata
