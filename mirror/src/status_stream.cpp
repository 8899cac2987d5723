// SPDX-License-Identifier: MIT
#include "status_stream.hpp"

#include "update_hook.hpp"

#include <fermata/promise/sleep.hpp>

#include <chrono>
#include <map>
#include <utility>
#include <vector>

namespace fermata::mirror {
namespace {

constexpr int most_viewers = 100;
constexpr std::chrono::seconds period{1};

// One viewer: what it was sent last, part by part.
struct viewer {
  viewer(std::shared_ptr<service_core> c, page_view v) : core(std::move(c)), view(std::move(v)) {
    ++core->viewers;
  }
  ~viewer() { --core->viewers; }
  viewer(const viewer&) = delete;
  viewer& operator=(const viewer&) = delete;

  std::shared_ptr<service_core> core;
  page_view view;
  std::map<std::string_view, std::string> sent;
};

promise<http::shared_bytes> next_event(std::shared_ptr<viewer> v) {
  for (;;) {
    if (!v->sent.empty()) {
      promise<> tick = sleep_for(period);
      co_await tick;
    }
    if (v->core->is_ending) co_return http::shared_bytes();
    std::vector<page_part> changed;
    for (page_part& part : status_parts(v->core->status(), v->core->past, v->view)) {
      std::string& before = v->sent[part.id];
      if (before == part.html) continue;
      before = part.html;
      changed.push_back(std::move(part));
    }
    if (!changed.empty()) co_return http::shared_bytes(status_event(changed));
  }
}

}  // namespace

page_view view_of(const service_core& core, const http::request& r) {
  page_view view;
  view.host = r.authority();
  view.fallback_host = core.address;
  view.public_url = core.options.public_url;
  view.whole_day = form_field(r.query(), "span") == "day";
  return view;
}

http::response stream_status(const std::shared_ptr<service_core>& core, const http::request& r) {
  if (core->viewers >= most_viewers) {
    http::response full = http::text_response(503, "too many look at the status already\n");
    full.headers.add("Retry-After", "10");
    return full;
  }
  http::response out;
  out.headers.add("Content-Type", "text/event-stream");
  out.headers.add("Cache-Control", "no-store");
  out.headers.add("X-Accel-Buffering", "no");  // nginx would hold events back
  out.ends_with_client = true;
  auto v = std::make_shared<viewer>(core, view_of(*core, r));
  out.stream = [v] { return next_event(v); };
  return out;
}

}  // namespace fermata::mirror
