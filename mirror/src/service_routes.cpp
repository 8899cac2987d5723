// SPDX-License-Identifier: MIT
// What is at which path. Every handler answers at once, from what is served at that moment.

#include "archive_cards.hpp"
#include "archives_json.hpp"
#include "own_paths.hpp"
#include "serve_data.hpp"
#include "service_core.hpp"
#include "status_stream.hpp"

#include <fermata/git_mem/http_backend.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/mirror/index_builder.hpp>
#include <fermata/mirror/pages.hpp>

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <utility>

namespace fermata::mirror {
namespace {

using http::request;
using http::response;

constexpr std::string_view never_keep = "no-store";

response plain(int status, std::string text) {
  response r = http::text_response(status, std::move(text));
  r.headers.add("Cache-Control", never_keep);
  return r;
}

response page(std::string html) {
  response r;
  r.headers.add("Content-Type", "text/html; charset=utf-8");
  r.headers.add("Cache-Control", never_keep);
  r.headers.add("Content-Security-Policy", page_policy());
  r.headers.add("X-Content-Type-Options", "nosniff");
  r.headers.add("Referrer-Policy", "no-referrer");
  r.body = http::shared_bytes(std::move(html));
  return r;
}

std::string state_text(const service_core& core) { return std::string(to_string(core.state)); }

response not_yet(const service_core& core) {
  std::string text = "no index yet: " + state_text(core) + "\n";
  if (core.error.message) text += *core.error.message + "\n";
  response r = plain(503, std::move(text));
  r.headers.add("Retry-After", std::to_string(core.retry_after().count()));
  return r;
}

// A file of what is served, or why there is none.
response serve_file(const service_core& core, const request& r, data_file file) {
  if (!core.served) return not_yet(core);
  return serve_data(core.served, r, file);
}

response serve_index(const service_core& core, const request& r) {
  return serve_file(core, r, data_file::index);
}
response serve_repo(const service_core& core, const request& r) {
  return serve_file(core, r, data_file::repo);
}
response serve_version(const service_core& core, const request& r) {
  return serve_file(core, r, data_file::version);
}

response serve_ready(const service_core& core, const request&) {
  return core.served ? plain(200, state_text(core) + "\n") : not_yet(core);
}

response serve_health(const service_core& core, const request&) {
  return plain(200, state_text(core) + "\n");
}

response serve_json(const service_core& core, const request&) {
  response r;
  r.headers.add("Content-Type", "application/json");
  r.headers.add("Cache-Control", never_keep);
  r.body = http::shared_bytes(to_json(core.status()));
  return r;
}

response serve_status(const service_core& core, const request& r) {
  return page(status_page(core.status(), core.past, view_of(core, r)));
}

response serve_metrics(const service_core& core, const request&) {
  response r;
  r.headers.add("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  r.headers.add("Cache-Control", never_keep);
  r.body = http::shared_bytes(metrics_text(core.status(), core.requests, core.phases,
                                           core.server_counters(), core.loop.metrics()));
  return r;
}

response serve_home(const service_core& core, const request& r) {
  return page(home_page(core.status(), view_of(core, r)));
}

std::string update_text(service_core& core) {
  const bool busy = !core.progress.phase.empty();
  if (!core.ask_update()) return "an update is asked for already";
  if (busy) return "an update follows the one under way";
  const auto left = std::chrono::ceil<std::chrono::seconds>(core.pause_left());
  if (left.count() > 0) return "an update begins in " + std::to_string(left.count()) + " s";
  return "an update begins";
}

// Why `what` is refused. Who knows the secret never waits: others must not be able to use up what
// webhooks need.
std::optional<response> refusal_of(service_core& core, const request& r, std::string_view what) {
  constexpr std::size_t quickly_hashed_bytes = 64 * 1024;
  const time_point now = core.loop.now();
  const auto wait = core.hooks.wait(now);
  const bool is_spent = wait.count() > 0;
  std::string_view why;
  if (!is_spent || r.body().size() <= quickly_hashed_bytes) {
    why = hook_fault(r, core.options.update_secret);
    if (why.empty() && !core.options.update_secret.empty()) return std::nullopt;
  }
  if (is_spent) {
    response refused = plain(429, "too many requests\n");
    refused.headers.add("Retry-After", std::to_string(wait.count()));
    return refused;
  }
  core.hooks.take(now);
  if (why.empty()) return std::nullopt;
  core.loop.log(log_level::warn, "mirror", fmt::format("{} was refused: {}", what, why));
  return plain(403, fmt::format("no {}: {}\n", what, why));
}

response take_update(service_core& core, const request& r) {
  if (auto refused = refusal_of(core, r, "update")) return std::move(*refused);
  if (is_hook_ping(r)) return plain(200, "the hook is right\n");
  std::string text = update_text(core);
  if (is_page_form(r)) {  // back to where the button is
    response seen = plain(303, std::move(text) + "\n");
    seen.headers.add("Location", "/status");
    return seen;
  }
  return plain(202, std::move(text) + "\nstate: " + state_text(core) + "\n");
}

response serve_archives(const service_core& core, const request&) {
  if (!core.archives) return plain(404, "this mirror keeps no archives\n");
  response r;
  r.headers.add("Content-Type", "application/json");
  r.headers.add("Cache-Control", never_keep);
  r.body = http::shared_bytes(archives_json(core.archives->status()));
  return r;
}

// Those that failed for the reason that the query or a form names, else all.
response retry_archives(service_core& core, const request& r) {
  if (!core.archives) return plain(404, "this mirror keeps no archives\n");
  if (auto refused = refusal_of(core, r, "retry")) return std::move(*refused);
  std::string reason = form_field(r.query(), "reason");
  if (reason.empty()) reason = form_field(r.body(), "reason");
  const std::size_t count = core.archives->retry(reason);
  response seen =
      plain(202, std::to_string(count) + (count == 1 ? " download is" : " downloads are") +
                     " tried again\n");
  if (is_page_form(r)) {  // back to where the button is
    seen.status = 303;
    seen.headers.add("Location", "/status");
  }
  return seen;
}

// To where an archive is, by any of its checksums as opam files write them.
response find_archive(const service_core& core, const request& r) {
  if (!core.archives) return plain(404, "this mirror keeps no archives\n");
  const auto hash = archive_hash::parse(form_field(r.query(), "checksum"));
  if (!hash) return plain(400, "no checksum: md5, sha256=... or sha512=... in hex\n");
  if (!core.archives->knows(*hash)) return plain(404, "no package names this archive\n");
  response there = plain(303, "/cache/" + hash->path() + "\n");
  there.headers.add("Location", "/cache/" + hash->path());
  return there;
}

promise<response> serve_archive(const std::shared_ptr<service_core>& core, const request& r) {
  if (core->archives) return core->archives->serve(r);
  return ready(plain(404, "this mirror keeps no archives\n"));
}

}  // namespace

namespace {

http::router make_routes(const std::shared_ptr<service_core>& core) {
  http::router routes;
  const auto get = [&](std::string_view path, auto answer) {
    routes.on("GET", path, [core, answer](const request& r) { return ready(answer(*core, r)); });
  };
  get("/", serve_home);
  get("/status", serve_status);
  get("/status.json", serve_json);
  get("/metrics", serve_metrics);
  get("/healthz", serve_health);
  get("/readyz", serve_ready);
  get("/repo", serve_repo);
  get("/version", serve_version);
  get("/index.tar.gz", serve_index);
  get("/archives.json", serve_archives);
  get(find_path, find_archive);
  routes.on("POST", retry_path,
            [core](const request& r) { return ready(retry_archives(*core, r)); });
  routes.on_prefix("GET", "/cache/", [core](const request& r) { return serve_archive(core, r); });
  if (is_own_path(core->options.update_path)) {
    throw contract_error("cannot take updates at " + core->options.update_path +
                         ": the mirror serves this path itself");
  }
  routes.on("POST", core->options.update_path,
            [core](const request& r) { return ready(take_update(*core, r)); });
  if (core->options.serve_git) {
    git_mem::http_backend_options how;
    how.idle_timeout = core->options.http.write_time;
    git_mem::mount_repository(
        routes, "/repository.git", [core] { return core->shown; }, how);
  }
  routes.on("GET", "/status/events",
            [core](const request& r) { return ready(stream_status(core, r)); });
  return routes;
}

}  // namespace

http::handler make_handler(const std::shared_ptr<service_core>& core) {
  return [core, routes = std::make_shared<http::router>(make_routes(core))](const request& r) {
    const time_point began = core->loop.now();
    const endpoint asked = endpoint_of(r.path(), core->options.update_path);
    promise<response> answering = (*routes)(r);
    if (const response* answer = answering.peek(); answer != nullptr) {
      core->requests.record(asked, answer->status, core->loop.now() - began);
      return answering;
    }
    return answering.map([core, asked, began](response answer) {
      core->requests.record(asked, answer.status, core->loop.now() - began);
      return answer;
    });
  };
}

}  // namespace fermata::mirror
