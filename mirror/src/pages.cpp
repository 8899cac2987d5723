// SPDX-License-Identifier: MIT
// What stands on the pages, top to bottom in the order in which a visitor asks.

#include "archive_cards.hpp"
#include "page_parts.hpp"
#include "plots.hpp"
#include "text.hpp"

#include <fermata/mirror/pages.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace fermata::mirror {
namespace {

constexpr int refresh_s = 5;  // of a page without its script

// Of this mirror, for people who look at it in this way.
std::string own_url(const page_view& view) {
  if (view.public_url.empty()) {
    return "http://" + (is_plain_host(view.host) ? view.host : view.fallback_host);
  }
  std::string url = view.public_url;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// A remote as people call it: without scheme and `.git`.
std::string short_remote(std::string_view remote) {
  const std::size_t scheme = remote.find("://");
  if (scheme != std::string_view::npos) remote.remove_prefix(scheme + 3);
  if (remote.ends_with(".git")) remote.remove_suffix(4);
  return html_escaped(remote);
}

std::string row(std::string_view name, std::string_view html) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>", name, html);
}

// The place of a part that has nothing to show.
std::string nothing(std::string_view id) {
  return fmt::format("<section id=\"{}\" hidden></section>\n", id);
}

std::string age(const service_status& s, std::chrono::sys_seconds then) {
  if (then > s.now) return "in " + human_duration(then - s.now);
  return human_duration(s.now - then) + " ago";
}

std::string when(const service_status& s, std::chrono::sys_seconds then) {
  return fmt::format("<time datetime=\"{0}\" title=\"{0}\">{1}</time>", iso_time(then),
                     age(s, then));
}

std::string lead(const service_status& s) {
  const std::string name = short_remote(s.remote);
  if (!s.ready) {
    switch (s.state) {
      case service_state::cloning:
        return "Cloning " + name;
      case service_state::indexing:
        return "Building the index of " + name;
      default:
        return "Starting to mirror " + name;
    }
  }
  if (s.state == service_state::ready) return "Serving " + name;
  return "Serving " + name + " and updating";
}

std::string served_card(const service_status& s) {
  std::string rows = row("Remote", "<code>" + html_escaped(s.remote) + "</code>");
  if (s.commit) {
    rows += row("Commit", fmt::format("<code title=\"{}\">{}</code>", html_escaped(*s.commit),
                                      html_escaped(s.commit->substr(0, 12))));
  }
  if (s.commit_time) {
    rows += row("Committed", fmt::format("{} ({})", when(s, *s.commit_time),
                                         iso_time(*s.commit_time).substr(0, 10)));
  }
  if (!s.commit) rows += row("Commit", "not known yet");
  return fmt::format(
      "<section id=\"served\" class=\"card\"><p class=\"lead\">{}</p><dl>{}</dl></section>\n",
      lead(s), rows);
}

// "12,345 of 42,156 objects".
std::string objects_text(const progress_status& p) {
  const std::string phase = p.phase.value_or("");
  const std::string noun = phase == "index" || phase == "walk" ? "files" : "objects";
  if (!p.objects_done) return {};
  if (!p.objects_total)
    return fmt::format("<strong>{}</strong> {}", with_commas(*p.objects_done), noun);
  return fmt::format("<strong>{}</strong> of {} {}", with_commas(*p.objects_done),
                     with_commas(*p.objects_total), noun);
}

std::string progress_card(const service_status& s) {
  const progress_status& p = s.progress;
  if (s.state == service_state::ready || !p.phase) return nothing("progress");
  const auto share = p.share();
  std::string bar = "<b class=\"unknown\"></b>";
  if (share) bar = fmt::format("<b style=\"width:{:.1f}%\"></b>", *share * 100);
  std::string facts;
  const auto fact = [&facts](const std::string& html) {
    if (!html.empty()) facts += "<span>" + html + "</span>";
  };
  if (share) fact(fmt::format("<strong>{:.0f} %</strong>", std::floor(*share * 100)));
  fact(objects_text(p));
  if (p.bytes) fact(human_bytes(*p.bytes));
  if (p.bytes_per_second) fact(human_bytes(*p.bytes_per_second) + "/s");
  if (const auto left = p.left(); left && *share < 1) fact(human_duration(*left) + " left");
  return fmt::format(
      "<section id=\"progress\" class=\"card\"><h2>Now: {}</h2><div class=\"bar\" "
      "role=\"progressbar\" "
      "aria-valuemin=\"0\" aria-valuemax=\"100\"{}>{}</div><div "
      "class=\"facts\">{}</div></section>\n",
      html_escaped(*p.phase),
      share ? fmt::format(" aria-valuenow=\"{:.0f}\"", std::floor(*share * 100)) : "", bar, facts);
}

std::string error_card(const service_status& s) {
  const error_status& e = s.error;
  if (!e.message) return nothing("error");
  std::string facts;
  if (e.since) facts += fmt::format("<span>for {}</span>", human_duration(s.now - *e.since));
  if (e.tries) {
    facts += fmt::format("<span>{} {}</span>", *e.tries, *e.tries == 1 ? "try" : "tries");
  }
  if (e.next_try) facts += fmt::format("<span>next try {}</span>", when(s, *e.next_try));
  return fmt::format(
      "<section id=\"error\" class=\"card trouble\"><h2>{}</h2><p>{}</p><div "
      "class=\"facts\">{}</div></section>\n",
      s.ready ? "The last update failed; what was served before still is"
              : "This does not work yet",
      html_escaped(*e.message), facts);
}

std::string gap_card(const service_status& s) {
  std::string body = "<p class=\"site\">Nothing measured yet.</p>";
  if (s.loop.longest_gap_us) {
    body = gap_gauge(*s.loop.longest_gap_us, s.loop.slice_us);
    const std::string site = html_escaped(s.loop.longest_gap_site.value_or("an unknown place"));
    body += fmt::format("<p class=\"site\">at <code>{}</code></p>", site);
  }
  std::string facts;
  if (s.loop.longest_gap_cpu_us) {
    facts += fmt::format("<span><strong>{}</strong> of CPU</span>",
                         human_microseconds(*s.loop.longest_gap_cpu_us, "&micro;"));
  }
  facts +=
      fmt::format("<span><strong>{}</strong> looks</span><span>policy <strong>{}</strong></span>",
                  with_commas(s.loop.looks), html_escaped(s.loop.policy));
  return fmt::format(
      "<section id=\"gap\" class=\"card gap\"><h2>Longest time without a look for waiting "
      "clients</h2>{}"
      "<div class=\"facts\">{}</div></section>\n",
      body, facts);
}

// Unfolded by who wants to read them; nothing where there are none.
std::string details(const std::vector<std::string>& texts,
                    std::uint64_t count,
                    std::string_view one,
                    std::string_view many) {
  if (texts.empty()) return {};
  std::string items;
  for (const std::string& text : texts) items += "<li>" + html_escaped(text) + "</li>";
  if (count > texts.size()) items += "<li>and more</li>";
  return fmt::format("<details><summary>{} {}</summary><ul>{}</ul></details>", with_commas(count),
                     count == 1 ? one : many, items);
}

std::string packages_card(const service_status& s) {
  const package_status& p = s.packages;
  if (!p.is_known) return nothing("packages");
  std::string rows = row("Opam files", with_commas(p.opam_files));
  if (p.unavailable != 0) rows += row("Not available", with_commas(p.unavailable));
  rows += row("Archives they name", with_commas(p.archives));
  if (p.alternatives != 0) rows += row("With several URLs", with_commas(p.alternatives));
  const std::uint64_t skipped = p.without_checksum + p.version_control + p.refused;
  return fmt::format(
      "<section id=\"packages\" class=\"card\"><h2>Packages</h2><dl>{}</dl>{}{}{}</section>\n",
      rows, details(p.fault_list, p.faults, "line could not be read", "lines could not be read"),
      details(p.conflict_list, p.conflict_list.size(), "checksum contradicts another",
              "checksums contradict others"),
      details(p.skipped_list, std::max<std::uint64_t>(skipped, p.skipped_list.size()),
              "source that cannot be mirrored", "sources that cannot be mirrored"));
}

std::string numbers_card(const service_status& s) {
  std::string rows;
  if (s.index.bytes) rows += row("Index", human_bytes(*s.index.bytes));
  if (s.index.files) rows += row("Files", with_commas(*s.index.files));
  if (s.index.etag) {
    std::string tag = *s.index.etag;
    std::erase(tag, '"');
    rows += row("ETag", fmt::format("<code title=\"{}\">{}</code>", html_escaped(tag),
                                    html_escaped(tag.substr(0, 12))));
  }
  if (s.memory.rss_bytes) rows += row("Memory", human_bytes(*s.memory.rss_bytes));
  if (s.memory.peak_rss_bytes) rows += row("Peak memory", human_bytes(*s.memory.peak_rss_bytes));
  if (s.disk.kept_bytes) rows += row("Kept beside archives", human_bytes(*s.disk.kept_bytes));
  if (s.disk.free_bytes && s.disk.total_bytes) {
    rows += row("Free on it", fmt::format("{} of {}", human_bytes(*s.disk.free_bytes),
                                          human_bytes(*s.disk.total_bytes)));
  }
  rows += row("Running for", human_duration(s.uptime));
  return fmt::format(
      "<section id=\"numbers\" class=\"card\"><h2>In numbers</h2><dl>{}</dl>{}</section>\n", rows,
      details(s.index.notes, s.index.notes.size(), "remark", "remarks"));
}

// The hour or the day, whichever was asked for.
std::string plots_card(const history& past, bool whole_day) {
  const std::string_view links = whole_day ? "<a href=\"/status\">hour</a> <b>day</b>"
                                           : "<b>hour</b> <a href=\"/status?span=day\">day</a>";
  return fmt::format(
      "<section id=\"plots\" class=\"card\"><h2>The last <span class=\"choice\">{}</span></h2>"
      "<div class=\"plots\">{}</div></section>\n",
      links, plots(whole_day ? past.day() : past.hour()));
}

std::string button(const service_status& s, std::string_view path, std::string_view words) {
  return fmt::format(
      "<form method=\"post\" action=\"{}\">{}<button>{}</button></form>", html_escaped(path),
      s.updates.needs_secret
          ? "<input type=\"password\" name=\"secret\" placeholder=\"secret\" aria-label=\"secret\" "
            "autocomplete=\"current-password\" required>"
          : "",
      words);
}

std::string updates_card(const service_status& s) {
  std::string rows;
  if (s.updates.last) rows += row("Last asked upstream", when(s, *s.updates.last));
  if (s.updates.next) rows += row("Next", when(s, *s.updates.next));
  rows += row("Done", with_commas(s.updates.done));
  if (s.updates.failed != 0) rows += row("Failed", with_commas(s.updates.failed));
  return fmt::format(
      "<section id=\"updates\" class=\"card\"><h2>Updates</h2><dl>{}</dl></section>\n", rows);
}

std::string requests_card(const service_status& s) {
  std::string rows = row("Requests", with_commas(s.requests.total));
  rows += row("Failed with 5xx", with_commas(s.requests.failures));
  rows += row("Connections", with_commas(s.requests.connections));
  if (s.requests.refused_connections != 0) {
    rows += row("Refused", with_commas(s.requests.refused_connections));
  }
  if (s.requests.overloaded != 0) rows += row("Over a limit", with_commas(s.requests.overloaded));
  if (s.requests.rate_limited != 0) rows += row("Too fast", with_commas(s.requests.rate_limited));
  rows += row("Sent", human_bytes(s.requests.sent_bytes));
  if (s.requests.lost_log_lines.value_or(0) != 0) {
    rows += row("Not logged", with_commas(*s.requests.lost_log_lines));
  }
  return fmt::format(
      "<section id=\"requests\" class=\"card\"><h2>Clients</h2><dl>{}</dl></section>\n", rows);
}

std::string commands_card(const page_view& view) {
  return "<section class=\"card\"><h2>Use this mirror</h2>" + opam_commands(own_url(view)) +
         "</section>\n";
}

}  // namespace

bool is_plain_host(std::string_view host) {
  if (host.empty() || host.size() > 260) return false;
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
}

std::vector<page_part> status_parts(const service_status& s,
                                    const history& past,
                                    const page_view& view) {
  return {{"banner", page_banner(s)},
          {"error", error_card(s)},
          {"served", served_card(s)},
          {"progress", progress_card(s)},
          {"updates", updates_card(s)},
          {"requests", requests_card(s)},
          {"packages", packages_card(s)},
          {"archives", s.archives ? archives_card(*s.archives) : nothing("archives")},
          {"downloads", s.archives ? downloads_card(*s.archives) : nothing("downloads")},
          {"failures", s.archives ? failures_card(*s.archives, s.now, s.updates.needs_secret)
                                  : nothing("failures")},
          {"plots", plots_card(past, view.whole_day)},
          {"gap", gap_card(s)},
          {"numbers", numbers_card(s)}};
}

std::string status_page(const service_status& s, const history& past, const page_view& view) {
  std::string page = page_head(std::string(to_string(s.state)) + " - fermata mirror", refresh_s);
  const auto parts = status_parts(s, past, view);
  const auto part = [&parts](std::string_view id) -> const std::string& {
    return std::find_if(parts.begin(), parts.end(), [id](const page_part& p) { return p.id == id; })
        ->html;
  };
  page += part("banner") + "<div class=\"stack\">\n" + part("error") + part("served");
  page += "<div class=\"actions\">" + button(s, s.updates.path, "Update now") + "</div>\n";
  page += part("progress");
  page += "<div class=\"grid\">\n" + part("updates") + part("requests") + "</div>\n";
  page += part("downloads") + part("failures");
  page += "<div class=\"grid\">\n" + part("archives") + part("packages") + "</div>\n";
  page += part("plots");
  page += "<div class=\"grid\">\n" + part("gap") + part("numbers") + "</div>\n";
  page += commands_card(view);
  return page + "</div>\n" + page_foot(s) + page_script();
}

std::string status_event(const std::vector<page_part>& parts) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const page_part& p : parts) all[std::string(p.id)] = p.html;
  return "data: " + all.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n\n";
}

std::string home_page(const service_status& s, const page_view& view) {
  std::string page = page_head("fermata mirror", 0);
  page += page_banner(s);
  page += "<div class=\"stack\">\n";
  page += fmt::format(
      "<section class=\"card\"><p class=\"lead\">An opam repository, "
      "mirrored</p><dl>{}{}</dl></section>\n",
      row("Mirror of", "<code>" + html_escaped(s.remote) + "</code>"),
      row("State", std::string(to_string(s.state)) +
                       (s.ready ? ", an index is served" : ", no index to serve yet")));
  page += commands_card(view);
  page +=
      "<section class=\"card\"><h2>What is here</h2><div class=\"links\">"
      "<a href=\"/status\">/status</a><span>what the mirror does just now</span>"
      "<a href=\"/status.json\">/status.json</a><span>the same for programs</span>"
      "<a href=\"/metrics\">/metrics</a><span>for Prometheus</span>"
      "<a href=\"/repo\">/repo</a><span>the repository's own description</span>"
      "<a href=\"/index.tar.gz\">/index.tar.gz</a><span>all packages, what opam downloads</span>"
      "<code>/repository.git</code><span>for git clone</span>"
      "<a href=\"/healthz\">/healthz</a><span>answers as long as the service lives</span>"
      "<a href=\"/readyz\">/readyz</a><span>200 once an index is served, 503 before</span>"
      "</div></section>\n</div>\n";
  return page + page_foot(s) + "</body></html>\n";
}

}  // namespace fermata::mirror
