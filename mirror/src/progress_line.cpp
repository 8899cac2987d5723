// SPDX-License-Identifier: MIT
// A bar of ASCII: it looks the same on every terminal, and in what people paste from one.

#include "text.hpp"

#include <fermata/mirror/log_text.hpp>
#include <fermata/mirror/progress_line.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace fermata::mirror {
namespace {

constexpr int bar_columns = 20;
constexpr int short_bar_columns = 12;
constexpr std::chrono::milliseconds redraw_every{100};
constexpr std::chrono::milliseconds log_every{1000};

std::string_view noun_of(std::string_view phase) {
  if (phase == "download") return "archives";
  return phase == "index" || phase == "walk" ? "files" : "objects";
}

// What stands behind the bar, the more important first.
std::vector<std::string> facts(const progress_status& p) {
  std::vector<std::string> all;
  const std::string_view noun = noun_of(p.phase.value_or(""));
  if (p.objects_done && p.objects_total) {
    all.push_back(fmt::format("{} of {} {}", with_commas(*p.objects_done),
                              with_commas(*p.objects_total), noun));
  } else if (p.objects_done) {
    all.push_back(fmt::format("{} {}", with_commas(*p.objects_done), noun));
  }
  if (p.bytes) all.push_back(human_bytes(*p.bytes));
  if (p.bytes_per_second) all.push_back(human_bytes(*p.bytes_per_second) + "/s");
  const auto left = p.left();
  if (left && *p.share() < 1) all.push_back(human_duration(*left) + " left");
  return all;
}

// Appends the words that fit in whole.
void append(std::string& line, const std::vector<std::string>& words, std::size_t width) {
  for (const std::string& word : words) {
    if (line.size() + 2 + word.size() > width) return;
    line += "  " + word;
  }
}

std::string bar_of(const progress_status& p, std::string line, int columns) {
  const auto share = p.share();
  if (!share) return facts(p).empty() ? line + " ..." : line;
  std::string bar(static_cast<std::size_t>(columns), '-');
  std::fill_n(bar.begin(), static_cast<std::size_t>(*share * columns), '#');
  return line + fmt::format("  [{}] {:3}%", bar, static_cast<int>(*share * 100));
}

// As log lines have it: `progress phase=walk files=8`.
std::string progress_pairs(const progress_status& p) {
  std::string phase = p.phase.value_or("");
  std::replace(phase.begin(), phase.end(), ' ', '_');
  std::string line = "progress phase=" + phase;
  if (const auto share = p.share())
    line += fmt::format(" percent={}", static_cast<int>(*share * 100));
  if (p.objects_done) line += fmt::format(" {}={}", noun_of(*p.phase), *p.objects_done);
  if (p.objects_done && p.objects_total) line += fmt::format(" total={}", *p.objects_total);
  if (p.bytes) line += fmt::format(" bytes={}", *p.bytes);
  if (p.bytes_per_second) line += fmt::format(" bytes_per_second={}", *p.bytes_per_second);
  const auto left = p.left();
  if (left && *p.share() < 1) {
    line += fmt::format(" seconds_left={:.1f}", std::chrono::duration<double>(*left).count());
  }
  return line;
}

}  // namespace

std::string progress_bar(const progress_status& progress, std::size_t width) {
  const std::vector<std::string> known = facts(progress);
  std::string line = bar_of(progress, progress.phase.value_or(""), bar_columns);
  std::size_t all = line.size();
  for (const std::string& fact : known) all += 2 + fact.size();
  if (all > width) {  // facts before ornaments
    const std::string phase = progress.phase.value_or("");
    line = bar_of(progress, phase.substr(0, phase.find(' ')), short_bar_columns);
  }
  if (line.size() > width) line.resize(width);
  append(line, known, width);
  return line;
}

std::string progress_text(const progress_status& progress) {
  const std::vector<std::string> known = facts(progress);
  std::string line = progress.phase.value_or("") + (known.empty() ? " ..." : ":");
  if (const auto share = progress.share()) {
    line += fmt::format(" {}%", static_cast<int>(*share * 100));
  }
  append(line, known, std::string::npos);
  return line;
}

std::string progress_line::update(const progress_status& progress, std::chrono::milliseconds now) {
  if (!progress.phase) return {};
  std::string text;
  if (*progress.phase != phase_) {
    if (had_share_) text = end();  // else the new phase takes the line over
    phase_ = *progress.phase;
    tenth_ = -1;
    last_ = now - log_every;
  }
  return text + (width_ != 0 ? update_bar(progress, now) : update_text(progress, now));
}

std::string progress_line::update_bar(const progress_status& progress,
                                      std::chrono::milliseconds now) {
  const bool whole = progress.share().value_or(0) >= 1;
  if (now - last_ < redraw_every && !whole) return {};
  std::string line = progress_bar(progress, width_ - 1);  // a full line would wrap
  if (line == shown_) return {};
  last_ = now;
  had_share_ = progress.share().has_value();
  std::string text = "\r" + line;
  if (shown_.size() > line.size()) text.append(shown_.size() - line.size(), ' ');
  shown_ = std::move(line);
  return text;
}

std::string progress_line::update_text(const progress_status& progress,
                                       std::chrono::milliseconds now) {
  const auto share = progress.share();
  const int tenth = share ? static_cast<int>(*share * 10) : 0;
  const bool whole = share.value_or(0) >= 1;
  if (now - last_ < log_every && !(whole && tenth != tenth_)) return {};
  if (share && tenth == tenth_) return {};
  last_ = now;
  tenth_ = tenth;
  return log_line(log_format::text, log_level::info, "mirror", progress_pairs(progress));
}

std::string progress_line::end() {
  if (shown_.empty()) return {};
  shown_.clear();
  return "\n";
}

}  // namespace fermata::mirror
