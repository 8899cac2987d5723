// SPDX-License-Identifier: MIT
#include "archives_json.hpp"

#include <nlohmann/json.hpp>

namespace fermata::mirror {
namespace {

using json = nlohmann::ordered_json;

json active_json(const download_status& d) {
  return {{"archive", d.archive},
          {"packages", d.packages},
          {"url", d.url},
          {"bytes", d.bytes},
          {"total", d.total ? json(*d.total) : json()},
          {"elapsed_ms", d.elapsed.count()}};
}

json failed_json(const failed_download& f) {
  return {{"archive", f.archive},
          {"packages", f.packages},
          {"url", f.url},
          {"text", f.text},
          {"tries", f.tries},
          {"since", f.since.time_since_epoch().count()},
          {"next_try_seconds", f.next_try.count()}};
}

json group_json(const failure_group& g) {
  json examples = json::array();
  for (const failed_download& f : g.examples) examples.push_back(failed_json(f));
  return {{"reason", g.reason}, {"count", g.count}, {"examples", std::move(examples)}};
}

}  // namespace

std::string archives_json(const archive_status& s) {
  json active = json::array();
  for (const download_status& d : s.active) active.push_back(active_json(d));
  json failures = json::array();
  for (const failure_group& g : s.failures) failures.push_back(group_json(g));
  json paused = json::array();
  for (const paused_host& h : s.paused) {
    paused.push_back({{"host", h.name}, {"seconds", h.left.count()}});
  }
  const json all{{"open", s.is_open},
                 {"fault", s.fault.empty() ? json() : json(s.fault)},
                 {"known", s.is_known},
                 {"offline", s.offline},
                 {"archives", s.catalogue.archives},
                 {"present", s.present},
                 {"waiting", s.waiting},
                 {"failed", s.failed},
                 {"stored", s.store.archives},
                 {"stored_bytes", s.store.bytes},
                 {"quota_bytes", s.store.quota_bytes},
                 {"full", s.store.is_full},
                 {"without_room", s.without_room},
                 {"full_for_seconds", s.full_for.count()},
                 {"partial", s.store.partial},
                 {"partial_bytes", s.store.partial_bytes},
                 {"unnamed", s.store.unnamed},
                 {"damaged", s.store.damaged},
                 {"collected", s.store.collected},
                 {"checked", s.checked},
                 {"downloaded", s.downloaded},
                 {"downloaded_bytes", s.downloaded_bytes},
                 {"hits", s.hits},
                 {"fetched", s.fetched},
                 {"misses", s.misses},
                 {"active", std::move(active)},
                 {"paused", std::move(paused)},
                 {"failures", std::move(failures)}};
  // Reasons may hold what a server sent: bytes that are no UTF-8 must not end the answer.
  return all.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace fermata::mirror
