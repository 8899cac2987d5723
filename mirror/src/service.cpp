// SPDX-License-Identifier: MIT
// The service as its users see it.

#include "hashing.hpp"
#include "service_core.hpp"

#include <fermata/mirror/service.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>

#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::milliseconds repeat_cancel{1};

promise<> keep_samples(std::shared_ptr<service_core> core) {
  for (;;) {
    if (core->data) {
      promise<disk_status> looking = detach([from = &*core->data] { return from->disk(); });
      core->disk = co_await looking;
    }
    promise<> tick = sleep_for(history::short_period);
    co_await tick;
    core->take_sample();
  }
}

}  // namespace

service::service(service_options options)
    : core_(std::make_shared<service_core>(std::move(options))),
      server_(make_handler(core_), core_->options.http) {
  start_hashing();
  core_->server = &server_.counters();
}

service::~service() = default;

std::string service::listen(std::string_view address) {
  tcp_listener listener(address);
  std::string real = listener.address();
  serve(std::move(listener));
  return real;
}

void service::serve(tcp_listener listener) {
  core_->address = listener.address();
  auto shared = std::make_shared<tcp_listener>(std::move(listener));  // functions are copied
  server_.accept_from([shared] { return shared->accept(); });
}

service_link service::link() const { return {core_->loop.letters(), core_}; }

namespace {

promise<> hand_over(promise<> from, resolver<> to) {
  try {
    co_await from;
    to.resolve();
  } catch (...) {
    to.reject(std::current_exception());
  }
}

// A cancel is delivered once, and is lost where it reaches a coroutine that is about to end with a
// value: so it is repeated until the work has heard.
promise<> end_work(promise<> work) {
  try {
    while (work.is_pending()) {
      cancel(work);
      promise<> tick = sleep_for(repeat_cancel);
      co_await tick;
    }
  } catch (const loop_closed&) {  // so has the work
  }
}

}  // namespace

promise<> service::run() {
  auto body = [core = core_](scope& s) {
    s.fork_daemon([yard = core->yard] { return graveyard::tend(yard); });
    s.fork_daemon([core] { return keep_samples(core); });
    if (core->archives) s.fork_daemon([core] { return core->archives->run(); });
    return keep_fresh(core);
  };
  promise<> work = named("mirror", [body = std::move(body)] {
    return in_class(latency_class::bulk, [body] { return scope::run(body); });
  });
  auto task = make_task<>([work] { static_cast<void>(end_work(work)); });
  static_cast<void>(hand_over(std::move(work), std::move(task.settle)));
  return std::move(task.future);
}

http::handler service::handler() const { return make_handler(core_); }

bool service::ask_update() { return core_->ask_update(); }

promise<> service::shutdown(std::chrono::nanoseconds patience) {
  core_->is_ending = true;
  return server_.shutdown(patience);
}

service_status service::status() const { return core_->status(); }

progress_status service::progress() const { return core_->progress_now(); }

std::shared_ptr<const generation> service::current() const {
  if (!core_->served) return nullptr;
  return {core_->served, &core_->served->what};
}

std::optional<archive_status> service::archives() const {
  if (!core_->archives) return std::nullopt;
  return core_->archives->status();
}

std::optional<batch_status> service::downloads() const {
  if (!core_->archives) return std::nullopt;
  return core_->archives->batch();
}

const http::server_counters& service::counters() const noexcept { return server_.counters(); }

}  // namespace fermata::mirror
