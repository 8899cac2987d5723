// SPDX-License-Identifier: MIT
// What stands on the pages, top to bottom in the order in which a visitor asks.

#include "page_parts.hpp"
#include "text.hpp"

#include <fermata/mirror/pages.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fermata::mirror {
namespace {

constexpr int refresh_while_busy_s = 2;

std::string plain_host(std::string_view host, std::string_view fallback) {
  return std::string(is_plain_host(host) ? host : fallback);
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
  return fmt::format("<section class=\"card\"><p class=\"lead\">{}</p><dl>{}</dl></section>\n",
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
  if (s.state == service_state::ready || !p.phase) return {};
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
      "<section class=\"card\"><h2>Now: {}</h2><div class=\"bar\" role=\"progressbar\" "
      "aria-valuemin=\"0\" aria-valuemax=\"100\"{}>{}</div><div "
      "class=\"facts\">{}</div></section>\n",
      html_escaped(*p.phase),
      share ? fmt::format(" aria-valuenow=\"{:.0f}\"", std::floor(*share * 100)) : "", bar, facts);
}

std::string error_card(const service_status& s) {
  const error_status& e = s.error;
  if (!e.message) return {};
  std::string facts;
  if (e.since) facts += fmt::format("<span>for {}</span>", human_duration(s.now - *e.since));
  if (e.tries) {
    facts += fmt::format("<span>{} {}</span>", *e.tries, *e.tries == 1 ? "try" : "tries");
  }
  if (e.next_try) facts += fmt::format("<span>next try {}</span>", when(s, *e.next_try));
  return fmt::format(
      "<section class=\"card trouble\"><h2>{}</h2><p>{}</p><div "
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
      "<section class=\"card gap\"><h2>Longest time without a look for waiting clients</h2>{}"
      "<div class=\"facts\">{}</div></section>\n",
      body, facts);
}

std::string notes_list(const service_status& s) {
  if (s.index.notes.empty()) return {};
  std::string items;
  for (const std::string& note : s.index.notes) items += "<li>" + html_escaped(note) + "</li>";
  return fmt::format("<details><summary>{} {}</summary><ul>{}</ul></details>", s.index.notes.size(),
                     s.index.notes.size() == 1 ? "remark" : "remarks", items);
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
  rows += row("Running for", human_duration(s.uptime));
  return fmt::format("<section class=\"card\"><h2>In numbers</h2><dl>{}</dl>{}</section>\n", rows,
                     notes_list(s));
}

std::string commands_card(std::string_view host) {
  return "<section class=\"card\"><h2>Use this mirror</h2>" + opam_commands(host) + "</section>\n";
}

}  // namespace

bool is_plain_host(std::string_view host) {
  if (host.empty() || host.size() > 260) return false;
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(".-_:[]").find(c) != std::string_view::npos;
  });
}

std::string status_page(const service_status& s,
                        std::string_view host,
                        std::string_view fallback_host) {
  const bool settled = s.state == service_state::ready && !s.error.message;
  std::string page = page_head(std::string(to_string(s.state)) + " - fermata mirror",
                               settled ? 0 : refresh_while_busy_s);
  page += page_banner(s);
  page += "<div class=\"stack\">\n";
  page += error_card(s);
  page += served_card(s);
  page += progress_card(s);
  page += "<div class=\"grid\">\n" + gap_card(s) + numbers_card(s) + "</div>\n";
  page += commands_card(plain_host(host, fallback_host));
  page += "</div>\n";
  return page + page_foot(s);
}

std::string home_page(const service_status& s,
                      std::string_view host,
                      std::string_view fallback_host) {
  std::string page = page_head("fermata mirror", 0);
  page += page_banner(s);
  page += "<div class=\"stack\">\n";
  page += fmt::format(
      "<section class=\"card\"><p class=\"lead\">An opam repository, "
      "mirrored</p><dl>{}{}</dl></section>\n",
      row("Mirror of", "<code>" + html_escaped(s.remote) + "</code>"),
      row("State", std::string(to_string(s.state)) +
                       (s.ready ? ", an index is served" : ", no index to serve yet")));
  page += commands_card(plain_host(host, fallback_host));
  page +=
      "<section class=\"card\"><h2>What is here</h2><div class=\"links\">"
      "<a href=\"/status\">/status</a><span>what the mirror does just now</span>"
      "<a href=\"/status.json\">/status.json</a><span>the same for programs</span>"
      "<a href=\"/repo\">/repo</a><span>the repository's own description</span>"
      "<a href=\"/index.tar.gz\">/index.tar.gz</a><span>all packages, what opam downloads</span>"
      "<a href=\"/healthz\">/healthz</a><span>answers as long as the service lives</span>"
      "<a href=\"/readyz\">/readyz</a><span>200 once an index is served, 503 before</span>"
      "<span><code>POST /update</code></span><span>asks for an update from upstream</span>"
      "</div></section>\n</div>\n";
  return page + page_foot(s);
}

}  // namespace fermata::mirror
