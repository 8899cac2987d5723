// SPDX-License-Identifier: MIT
// The archives on the status page: how many are there, what is being fetched, what failed and why.

#include "archive_cards.hpp"

#include "text.hpp"

#include <fermata/mirror/service_status.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fermata::mirror {
namespace {

std::string row(std::string_view name, std::string_view html) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>", name, html);
}

std::string row_if(std::string_view name, std::uint64_t n) {
  return n == 0 ? std::string() : row(name, with_commas(n));
}

std::string bar(double share) {
  return fmt::format(
      "<div class=\"bar\" role=\"progressbar\" aria-valuemin=\"0\" aria-valuemax=\"100\" "
      "aria-valuenow=\"{:.0f}\"><b style=\"width:{:.1f}%\"></b></div>",
      std::floor(share * 100), share * 100);
}

std::string download(const download_status& d) {
  std::string facts;
  if (d.total && *d.total > 0) {
    facts = fmt::format("{} of {}", human_bytes(d.bytes), human_bytes(*d.total));
  } else {
    facts = human_bytes(d.bytes);
  }
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(d.elapsed.count(), 1));
  facts += fmt::format(", {}/s", human_bytes(d.bytes * 1000 / ms));
  return fmt::format("<li><strong>{}</strong> {} <span>{}</span></li>", html_escaped(d.packages),
                     facts, html_escaped(d.url));
}

// How far all of them are.
std::string batch(const batch_status& b) {
  const progress_status p = progress_of(b);
  const auto share = p.share();
  if (!share) return {};
  std::string facts = fmt::format("<span><strong>{}</strong> of {} done</span><span>{}</span>",
                                  with_commas(b.done), with_commas(b.total), human_bytes(b.bytes));
  if (p.bytes_per_second) facts += "<span>" + human_bytes(*p.bytes_per_second) + "/s</span>";
  if (const auto left = p.left()) facts += "<span>" + human_duration(*left) + " left</span>";
  return bar(*share) + "<div class=\"facts\">" + facts + "</div>";
}

// A form that asks for one reason's downloads again.
std::string retry_form(std::string_view reason, bool needs_secret) {
  return fmt::format(
      "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"reason\" value=\"{}\">{}"
      "<button>Try again</button></form>",
      retry_path, html_escaped(reason),
      needs_secret ? "<input type=\"password\" name=\"secret\" placeholder=\"secret\" "
                     "aria-label=\"secret\" autocomplete=\"current-password\" required>"
                   : "");
}

// For an archive whose URL is dead: by a checksum.
std::string find_form() {
  return fmt::format(
      "<form class=\"find\" method=\"get\" action=\"{}\"><input name=\"checksum\" required "
      "placeholder=\"md5, sha256=... or sha512=...\" aria-label=\"a checksum\">"
      "<button>Find</button></form>",
      find_path);
}

// To the minute: a page that changes each second could not be read.
std::string minute_text(std::chrono::sys_seconds t) {
  std::string text = iso_time(t).substr(0, 16);
  text[10] = ' ';
  return "<time>" + text + " UTC</time>";
}

std::string failure_lines(const failure_group& g, std::chrono::sys_seconds now) {
  std::string items;
  for (const failed_download& f : g.examples) {
    const bool says_where = f.text.find(f.url) != std::string::npos;
    const auto next = std::chrono::ceil<std::chrono::minutes>(now + f.next_try);
    items += fmt::format(
        "<li><strong>{}</strong> {}<span>{}</span><span>{} {} since {}, next {}</span></li>",
        html_escaped(f.packages), says_where ? "" : html_escaped(f.url), html_escaped(f.text),
        f.tries, f.tries == 1 ? "try" : "tries", minute_text(f.since), minute_text(next));
  }
  if (g.count > g.examples.size()) {
    items += fmt::format("<li>and {} more</li>", with_commas(g.count - g.examples.size()));
  }
  return items;
}

}  // namespace

namespace {

// Why nothing is fetched from there, though archives wait.
std::string paused_text(const std::vector<paused_host>& hosts) {
  constexpr std::size_t most = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, hosts.size()); ++i) {
    text += fmt::format("{}{} for {}", i == 0 ? "" : ", ", html_escaped(hosts[i].name),
                        human_duration(hosts[i].left));
  }
  return hosts.size() > most ? text + fmt::format(" and {} more", hosts.size() - most) : text;
}

}  // namespace

std::string archives_card(const archive_status& a) {
  const std::size_t named = a.catalogue.archives;
  std::string html = fmt::format("<section id=\"archives\" class=\"card{}\"><h2>Archives</h2>",
                                 a.fault.empty() ? "" : " trouble");
  if (!a.fault.empty()) {
    html += "<p>They cannot be used: " + html_escaped(a.fault) + "</p>";
  }
  if (a.is_known && named != 0) {
    html += bar(std::min(1.0, static_cast<double>(a.present) / static_cast<double>(named)));
    html += fmt::format(
        "<div class=\"facts\"><span><strong>{}</strong> of {} are here</span>{}{}</div>",
        with_commas(a.present), with_commas(named),
        a.waiting == 0 ? ""
                       : fmt::format("<span>{} {}</span>", with_commas(a.waiting),
                                     a.on_demand ? "when asked for" : "wait"),
        a.failed == 0 ? "" : fmt::format("<span>{} failed</span>", with_commas(a.failed)));
  }
  std::string rows = row(
      "Stored", fmt::format("{} in {}", human_bytes(a.store.bytes), with_commas(a.store.archives)));
  if (a.store.quota_bytes != 0) rows += row("Quota", human_bytes(a.store.quota_bytes));
  rows += row_if("Without room", a.without_room);
  rows += row("Given to clients", with_commas(a.hits));
  rows += row_if("Fetched for them", a.fetched) + row_if("Not there", a.misses);
  if (a.full_for.count() > 0) {
    rows +=
        row("Downloads", "stand still: the disk is full, a try in " + human_duration(a.full_for));
  }
  if (a.store.partial != 0) {
    rows += row("Partly here", fmt::format("{} in {}", human_bytes(a.store.partial_bytes),
                                           with_commas(a.store.partial)));
  }
  if (!a.paused.empty()) rows += row("Left alone", paused_text(a.paused));
  rows += row_if("Downloaded", a.downloaded) + row_if("Named by nothing", a.store.unnamed);
  rows += row_if("Damaged, set aside", a.store.damaged) + row_if("Verified", a.checked);
  if (a.offline) rows += row("Downloads", "off: the mirror is offline");
  return html + "<dl class=\"apart\">" + rows + "</dl>" + find_form() + "</section>\n";
}

std::string downloads_card(const archive_status& a) {
  if (a.active.empty()) return "<section id=\"downloads\" hidden></section>\n";
  std::string items;
  for (const download_status& d : a.active) items += download(d);
  return fmt::format(
      "<section id=\"downloads\" class=\"card\"><h2>Now: {} {}</h2>{}<ul class=\"list\">{}</ul>"
      "</section>\n",
      a.active.size(), a.active.size() == 1 ? "download" : "downloads", batch(a.batch), items);
}

std::string failures_card(const archive_status& a,
                          std::chrono::sys_seconds now,
                          bool needs_secret) {
  if (a.failures.empty()) return "<section id=\"failures\" hidden></section>\n";
  std::string groups;
  for (const failure_group& g : a.failures) {
    groups += fmt::format(
        "<details data-key=\"{1}\"><summary><strong>{0}</strong> {1}</summary>"
        "<ul class=\"list\">{2}</ul>{3}</details>",
        with_commas(g.count), html_escaped(g.reason), failure_lines(g, now),
        retry_form(g.reason, needs_secret));
  }
  return fmt::format(
      "<section id=\"failures\" class=\"card\"><h2>Downloads that failed</h2>{}</section>\n",
      groups);
}

}  // namespace fermata::mirror
