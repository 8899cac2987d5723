// SPDX-License-Identifier: MIT
// What crosses between the loops: generations (immutable, counted atomically), requests that are
// answered elsewhere (they live until their answer has been sent here), and counts as values.

#include "serve_data.hpp"
#include "service_core.hpp"

#include <fermata/mirror/service_replica.hpp>
#include <fermata/promise/sleep.hpp>
#include <fermata/promise/submit_to.hpp>

#include <algorithm>
#include <utility>

namespace fermata::mirror {

struct replica_state {
  explicit replica_state(service_link l) : link(std::move(l)), answer(make_handler(link.core)) {}

  service_link link;
  http::handler answer;  // called on the service's loop alone
  served_ptr served;
  request_meter requests;  // since they were told last
  std::shared_ptr<replica_line> line = std::make_shared<replica_line>();
};

namespace {

constexpr std::chrono::seconds tell_period{1};

// The source of a body that the service's loop makes: called there, and freed there.
using home_source = std::shared_ptr<http::body_source>;

home_source keep_at_home(const mailbox_ptr& home, http::body_source source) {
  return {new http::body_source(std::move(source)), [home](http::body_source* s) {
            std::unique_ptr<http::body_source> dead(s);
            static_cast<void>(home->post([freed = std::move(dead)] {}));
          }};
}

promise<http::response> ask_home(std::shared_ptr<replica_state> state, const http::request& r) {
  const http::request* asked = &r;  // it lives until it is answered
  promise<http::response> asking =
      submit_to(state->link.home, [state, asked] { return state->answer(*asked); });
  http::response answered = co_await std::move(asking);
  if (answered.stream) {
    const mailbox_ptr home = state->link.home;
    const home_source source = keep_at_home(home, std::move(answered.stream));
    answered.stream = [home, source] { return submit_to(home, [source] { return (*source)(); }); };
  }
  co_return answered;
}

http::handler replica_handler(std::shared_ptr<replica_state> state) {
  return [state = std::move(state)](const http::request& r) {
    const auto file = data_file_of(r.path());
    const bool reads = r.method() == "GET" || r.method() == "HEAD";
    if (!file || !reads || !state->served) return ask_home(state, r);
    const event_loop& loop = event_loop::current();
    const time_point began = loop.now();
    http::response answered = serve_data(state->served, r, *file);
    state->requests.record(endpoint_of(r.path(), {}), answered.status, loop.now() - began);
    return ready(std::move(answered));
  };
}

// Tells the service's loop what was counted here since the last time.
promise<> tell(replica_state& state, http::server_counters counters) {
  return submit_to(state.link.home, [core = state.link.core, line = state.line, counters,
                                     requests = std::exchange(state.requests, request_meter())] {
    line->counters = counters;
    core->requests.merge(requests);
  });
}

promise<> begin(std::shared_ptr<replica_state> state) {
  promise<served_ptr> asking =
      submit_to(state->link.home, [core = state->link.core, line = state->line] {
        core->replicas.push_back(line);
        return core->served;
      });
  served_ptr first = co_await std::move(asking);
  if (!state->served) state->served = std::move(first);
}

}  // namespace

void publish(const replica_line& to, const served_ptr& what) {
  static_cast<void>(to.to->post([to = to.state, what] {
    if (const auto state = to.lock()) state->served = what;
  }));
}

service_replica::service_replica(const service_link& of)
    : state_(std::make_shared<replica_state>(of)),
      server_(replica_handler(state_), of.core->options.http) {
  state_->line->to = event_loop::current().letters();
  state_->line->state = state_;
}

service_replica::~service_replica() = default;

void service_replica::serve(tcp_listener listener) {
  auto shared = std::make_shared<tcp_listener>(std::move(listener));
  server_.accept_from([shared] { return shared->accept(); });
}

promise<> service_replica::run() {
  promise<> begun = begin(state_);
  co_await begun;
  for (;;) {
    promise<> tick = sleep_for(tell_period);
    co_await tick;
    promise<> told = tell(*state_, server_.counters());
    co_await told;
  }
}

promise<> service_replica::shutdown(std::chrono::nanoseconds patience) {
  promise<> closed = server_.shutdown(patience);
  co_await closed;
  promise<> told = tell(*state_, server_.counters());
  co_await told;
}

}  // namespace fermata::mirror
