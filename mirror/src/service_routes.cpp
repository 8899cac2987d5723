// SPDX-License-Identifier: MIT
// What is at which path. Every handler answers at once, from what is served at that moment.

#include "service_core.hpp"

#include <fermata/mirror/index_builder.hpp>
#include <fermata/mirror/pages.hpp>

#include <functional>
#include <utility>

namespace fermata::mirror {
namespace {

using http::request;
using http::response;

// May be kept, but must be asked about: whoever keeps it follows a new commit at once.
constexpr std::string_view ask_each_time = "no-cache";
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
  r.headers.add("Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:");
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

// A part of what is served now, which lives as long as somebody reads it.
response serve_part(const request& r,
                    const served_ptr& from,
                    std::string_view bytes,
                    const std::string& etag,
                    std::string_view type) {
  http::representation what;
  what.etag = etag;
  what.last_modified = from->last_modified;
  what.size = bytes.size();
  what.type = type;
  response out = http::serve(r, what, http::shared_bytes(from, bytes), wall_now());
  out.headers.add("Cache-Control", ask_each_time);
  return out;
}

response serve_index(const service_core& core, const request& r) {
  if (!core.served) return not_yet(core);
  const generation& g = core.served->what;
  return serve_part(r, core.served, text_of(g.index), g.etag, "application/gzip");
}

response serve_repo(const service_core& core, const request& r) {
  if (!core.served) return not_yet(core);
  return serve_part(r, core.served, core.served->what.repo, core.served->repo_etag,
                    "text/plain; charset=utf-8");
}

response serve_version(const service_core& core, const request& r) {
  if (!core.served) return not_yet(core);
  const auto& version = core.served->what.version;
  if (!version) return plain(404, "the repository has no file version\n");
  return serve_part(r, core.served, *version, core.served->version_etag,
                    "text/plain; charset=utf-8");
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
  return page(status_page(core.status(), r.authority(), core.address));
}

response serve_home(const service_core& core, const request& r) {
  return page(home_page(core.status(), r.authority(), core.address));
}

response take_update(service_core& core, const request&) {
  const bool busy = !core.progress.phase.empty();
  if (!core.ask_update()) return plain(202, "an update is asked for already\n");
  return plain(202, busy ? "an update follows the one under way\n" : "an update begins\n");
}

}  // namespace

http::router make_routes(const std::shared_ptr<service_core>& core) {
  http::router routes;
  const auto get = [&](std::string_view path, auto answer) {
    routes.on("GET", path, [core, answer](const request& r) { return ready(answer(*core, r)); });
  };
  get("/", serve_home);
  get("/status", serve_status);
  get("/status.json", serve_json);
  get("/healthz", serve_health);
  get("/readyz", serve_ready);
  get("/repo", serve_repo);
  get("/version", serve_version);
  get("/index.tar.gz", serve_index);
  routes.on("POST", "/update", [core](const request& r) { return ready(take_update(*core, r)); });
  return routes;
}

}  // namespace fermata::mirror
