// SPDX-License-Identifier: MIT
// The service's work: load what was kept, then clone and index, again and again when there is a
// reason to.

#include "service_core.hpp"

#include <fermata/mirror/service.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/detach.hpp>
#include <fermata/promise/pause.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/sleep.hpp>

#include <utility>

namespace fermata::mirror {
namespace {

constexpr std::chrono::milliseconds repeat_cancel{1};

loaded_generation load(data_directory* from, std::string remote, std::string branch) {
  return from->load(remote, branch);
}

void save(data_directory* to, const generation* what) { to->save(*what); }

void announce(const service_core& core) {
  if (core.options.on_served) core.options.on_served(core.served->what);
}

void warn(const service_core& core, const std::string& text) {
  core.loop.log(log_level::warn, "mirror", text);
}

// A damaged or unreadable file is no reason not to serve: the clone makes a new one.
promise<> load_saved(service_core& core) {
  if (!core.data) co_return;
  core.meter.begin("load");
  loaded_generation loaded;
  promise<loaded_generation> loading =
      detach(load, &*core.data, core.remote.text, core.remote.branch);
  try {
    loaded = co_await std::move(loading);
  } catch (const std::exception& e) {
    loaded.refused = e.what();
  }
  if (!loaded.refused.empty()) warn(core, "cannot use the index that was kept: " + loaded.refused);
  if (!loaded.found) co_return;
  promise<> swapped = swap_in(core, std::move(loaded.found));
  co_await swapped;
  announce(core);
}

promise<> save_served(service_core& core) {
  if (!core.data) co_return;
  const served_ptr what = core.served;  // held here: its last holder must be on the loop
  core.meter.begin("save");
  promise<> saving = detach(save, &*core.data, &what->what);
  try {
    co_await saving;
  } catch (const std::exception& e) {
    warn(core, std::string("cannot keep the index: ") + e.what());
  }
  core.meter.end();
}

promise<bool> try_once(service_core& core) {
  core.update_wanted = false;
  core.try_began = core.loop.now();
  core.error.next_try.reset();
  std::unique_ptr<generation> fresh;
  std::string failed;
  promise<std::unique_ptr<generation>> making = make_generation(core);
  try {
    fresh = co_await std::move(making);
  } catch (const std::exception& e) {
    failed = e.what();
  }
  core.progress = work_progress();
  if (!failed.empty()) {
    core.state = core.served ? service_state::ready : service_state::starting;
    core.note_failure(std::move(failed));
    co_return false;
  }
  const bool is_new = fresh != nullptr;
  if (is_new) {
    promise<> swapped = swap_in(core, std::move(fresh));
    co_await swapped;
  }
  core.state = service_state::ready;
  core.error = error_status();
  if (!is_new) co_return true;
  announce(core);
  promise<> saved = save_served(core);
  co_await saved;
  co_return true;
}

promise<> wait_for_reason(service_core& core, bool succeeded) {
  if (core.update_wanted) co_return;
  auto [woken, wake] = make_promise<>();
  core.wake = std::move(wake);
  promise<> waiting = succeeded ? woken : with_timeout(core.next_delay, woken);
  try {
    co_await waiting;
  } catch (const timed_out&) {  // the reason is the last failure
  }
}

}  // namespace

promise<> swap_in(service_core& core, std::unique_ptr<generation> fresh) {
  core.meter.begin("swap");
  auto next = std::make_unique<served_generation>();
  next->what = std::move(*fresh);
  next->last_modified = std::min(next->what.commit_time, wall_now());
  promise<std::string> repo = etag_of(next->what.repo);
  next->repo_etag = co_await repo;
  if (next->what.version) {
    promise<std::string> version = etag_of(*next->what.version);
    next->version_etag = co_await version;
  }
  core.served = graveyard::adopt(core.yard, std::move(next));
  core.meter.end();
}

promise<> keep_fresh(std::shared_ptr<service_core> core) {
  promise<> loaded = load_saved(*core);
  co_await loaded;
  for (;;) {
    promise<bool> tried = try_once(*core);
    const bool succeeded = co_await tried;
    promise<> waited = wait_for_reason(*core, succeeded);
    co_await waited;
    co_await maybe_pause();  // a reason that is always there must not hold the thread
  }
}

service::service(service_options options)
    : core_(std::make_shared<service_core>(std::move(options))),
      server_(make_routes(core_), core_->options.http) {}

service::~service() = default;

std::string service::listen(std::string_view address) {
  core_->address = server_.listen(address);
  return core_->address;
}

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
    return keep_fresh(core);
  };
  promise<> work = named("mirror", [body = std::move(body)] {
    return in_class(latency_class::bulk, [body] { return scope::run(body); });
  });
  auto task = make_task<>([work] { static_cast<void>(end_work(work)); });
  static_cast<void>(hand_over(std::move(work), std::move(task.settle)));
  return std::move(task.future);
}

bool service::ask_update() { return core_->ask_update(); }

promise<> service::shutdown(std::chrono::nanoseconds patience) {
  return server_.shutdown(patience);
}

service_status service::status() const { return core_->status(); }

progress_status service::progress() const { return core_->progress_now(); }

std::shared_ptr<const generation> service::current() const {
  if (!core_->served) return nullptr;
  return {core_->served, &core_->served->what};
}

const http::server_counters& service::counters() const noexcept { return server_.counters(); }

}  // namespace fermata::mirror
