// SPDX-License-Identifier: MIT
// The frame of a page, and the gauge: the sign of a fermata whose arc is a scale.

#include "page_parts.hpp"

#include "page_style.hpp"
#include "text.hpp"

#include <fermata/loop/budget.hpp>
#include <fermata/mirror/pages.hpp>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace fermata::mirror {
namespace {

constexpr std::string_view sign =
    R"(<svg viewBox="0 0 50 33" aria-hidden="true"><path d="M4 29a21 21 0 0 1 42 0" fill="none" )"
    R"(stroke="currentColor" stroke-width="5" stroke-linecap="round"/>)"
    R"(<circle cx="25" cy="26" r="4" )"
    R"(fill="currentColor"/></svg>)";

// Puts in the parts that have changed; what is unfolded stays so, and a part in which somebody
// types waits. A stream that is cut is opened again by the browser.
constexpr std::string_view script =
    R"js('use strict';
const live=new EventSource('/status/events'+location.search);
live.onmessage=e=>{document.documentElement.dataset.live='yes';
for(const[id,html]of Object.entries(JSON.parse(e.data))){
const old=document.getElementById(id);if(!old)continue;
const at=document.activeElement;if(at&&at.tagName==='INPUT'&&old.contains(at))continue;
const key=(d,i)=>d.dataset.key||i;
const open=new Set([...old.querySelectorAll('details')].map((d,i)=>d.open?key(d,i):-1));
old.outerHTML=html;
document.getElementById(id).querySelectorAll('details').forEach(
(d,i)=>{if(open.has(key(d,i)))d.open=true})}
const badge=document.querySelector('.badge');
if(badge)document.title=badge.textContent+' - fermata mirror'};
)js";

std::string_view badge_class(const service_status& status) {
  if (status.error.message) return "warn";
  switch (status.state) {
    case service_state::ready:
      return "good";
    case service_state::starting:
      return "idle";
    default:
      return "busy";
  }
}

// The gauge's drawing: an arc around (130, 122), from the left (10 us) over the top to the right.
constexpr double centre_x = 130;
constexpr double centre_y = 122;
constexpr double radius = 88;

double position(double us) {
  return std::clamp(std::log10(std::max(us, 1.0) / 10) / 5, 0.0, 1.0);  // five decades to 1 s
}

struct point {
  double x;
  double y;
};
point on_arc(double at, double r) {
  const double angle = std::numbers::pi * (1 - at);
  return {centre_x + r * std::cos(angle), centre_y - r * std::sin(angle)};
}

std::string arc(double from, double to, std::string_view colour, double opacity) {
  const point a = on_arc(from, radius);
  const point b = on_arc(to, radius);
  return fmt::format(
      R"svg(<path d="M{:.1f} {:.1f}A{} {} 0 0 1 {:.1f} {:.1f}" fill="none" )svg"
      R"svg(stroke="var(--{})" stroke-width="14" stroke-linecap="round" opacity="{}"/>)svg",
      a.x, a.y, radius, radius, b.x, b.y, colour, opacity);
}

std::string mark(std::uint64_t us, std::string_view label) {
  const double at = position(static_cast<double>(us));
  const point a = on_arc(at, radius - 11);
  const point b = on_arc(at, radius + 11);
  const point c = on_arc(at, radius + 22);
  return fmt::format(
      R"svg(<path d="M{:.1f} {:.1f}L{:.1f} {:.1f}" stroke="var(--ink)" stroke-width="1.5"/>)svg"
      R"svg(<text x="{:.1f}" y="{:.1f}" style="text-anchor:{}">{}</text>)svg",
      a.x, a.y, b.x, b.y, c.x, c.y,
      at < 0.46   ? "end"
      : at > 0.54 ? "start"
                  : "middle",
      label);
}

}  // namespace

std::string page_head(std::string_view title, int refresh_s) {
  std::string head =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n";
  if (refresh_s != 0) {
    head += fmt::format("<noscript><meta http-equiv=\"refresh\" content=\"{}\"></noscript>\n",
                        refresh_s);
  }
  head += fmt::format("<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{}</style>\n",
                      html_escaped(title), page_style);
  return head + "</head><body><main>\n";
}

std::string page_script() { return "<script>" + std::string(script) + "</script></body></html>\n"; }

std::string_view page_policy() {
  static const std::string text = [] {
    std::array<unsigned char, 32> sum{};
    EVP_Digest(script.data(), script.size(), sum.data(), nullptr, EVP_sha256(), nullptr);
    std::array<unsigned char, 45> base64{};
    EVP_EncodeBlock(base64.data(), sum.data(), sum.size());
    return fmt::format(
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; script-src 'sha256-{}'",
        reinterpret_cast<const char*>(base64.data()));
  }();
  return text;
}

std::string page_banner(const service_status& status) {
  return fmt::format(
      "<header id=\"banner\">{}<h1><a href=\"/\">fermata mirror</a></h1>"
      "<span class=\"badge {}\"><i></i>{}</span></header>\n",
      sign, badge_class(status), to_string(status.state));
}

std::string page_foot(const service_status& status) {
  return fmt::format(
      "<footer><a href=\"/status\">status</a><a href=\"/status.json\">status.json</a>"
      "<a href=\"/repo\">repo</a><a href=\"/index.tar.gz\">index.tar.gz</a>"
      "<span>fermata {} &middot; up {}</span></footer>\n</main>\n",
      html_escaped(status.version), human_duration(status.uptime));
}

std::string opam_commands(std::string_view url) {
  return fmt::format(
      "<div class=\"how\"><p>For a new opam</p>"
      "<pre>opam init {0}</pre>"
      "<p>In an opam that exists: instead of its default, or beside it</p>"
      "<pre>opam repository set-url default {0}\n"
      "opam repository add mirror {0}</pre></div>\n",
      html_escaped(url));
}

std::string gap_gauge(std::uint64_t gap_us, std::optional<std::uint64_t> slice_us) {
  const auto bound_us = static_cast<std::uint64_t>(gap_bound / std::chrono::microseconds(1));
  const std::string_view colour = gap_us <= bound_us        ? "good"
                                  : gap_us <= 10 * bound_us ? "warn"
                                                            : "bad";
  std::string svg = "<svg class=\"gauge\" viewBox=\"0 0 260 144\" role=\"img\" aria-label=\"";
  svg += fmt::format("longest gap {}, bound {}\">", human_microseconds(gap_us),
                     human_microseconds(bound_us));
  svg += arc(0, 1, "track", 1);
  svg += arc(0, position(static_cast<double>(gap_us)), colour, 1);
  if (slice_us) svg += mark(*slice_us, "slice " + human_microseconds(*slice_us, "&micro;"));
  svg += mark(bound_us, "bound " + human_microseconds(bound_us, "&micro;"));
  svg += fmt::format("<text class=\"value\" x=\"{}\" y=\"{}\">{}</text>", centre_x, centre_y - 14,
                     human_microseconds(gap_us, "&micro;"));
  svg += fmt::format(
      "<text x=\"{0}\" y=\"{2}\">10 &micro;s</text><text x=\"{1}\" y=\"{2}\">1 s</text>",
      centre_x - radius, centre_x + radius, centre_y + 20);
  return svg + "</svg>\n";
}

}  // namespace fermata::mirror
