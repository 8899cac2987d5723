// SPDX-License-Identifier: MIT
// A snapshot of a trace as text.
//
// In Chrome's format events of one row nest by time: tasks and spans within one run of a task share
// the loop's row; turns, stalls and each thread of the pool have their own. A span that waits
// overlaps with others, so it is an asynchronous event.

#include <fermata/loop/metrics.hpp>
#include <fermata/loop/trace.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <ostream>
#include <unordered_map>

namespace fermata {
namespace {

constexpr int loop_row = 1;
constexpr int turn_row = 2;
constexpr int stall_row = 3;
constexpr int first_job_row = 10;

// The length of the UTF-8 character that begins at `i`, 0 where there is none.
std::size_t character_at(std::string_view text, std::size_t i) noexcept {
  const auto byte = [&](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U;
  };
  const auto continues = [&](std::size_t at) { return (byte(at) & 0xc0U) == 0x80U; };
  const unsigned first = byte(i);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(i + 1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned second = byte(i + 1);
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second >= 0xa0;
    return continues(i + 1) && continues(i + 2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned second = byte(i + 1);
    const bool outside = (first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90);
    return continues(i + 1) && continues(i + 2) && continues(i + 3) && !outside ? 4 : 0;
  }
  return 0;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t n = character_at(text, i);
    const char c = text[i];
    if (n == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += text.substr(i, n);
    }
    i += n == 0 ? 1 : n;
  }
  return out + '"';
}

class chrome_writer {
public:
  explicit chrome_writer(std::ostream& to) : to_(to) {
    to_ << "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[";
    line("\"ph\":\"M\",\"name\":\"process_name\",\"args\":{{\"name\":\"fermata\"}}");
    row_name(loop_row, "loop");
    row_name(turn_row, "turns");
    row_name(stall_row, "stalls");
  }
  void write(const trace_event& e) {
    switch (e.kind) {
      case trace_kind::turn:
        slice(e, turn_row, "turn", "turn");
        break;
      case trace_kind::stall:
        slice(e, stall_row, "stall", e.name());
        break;
      case trace_kind::task:
        slice(e, loop_row, "task", e.name());
        flow_end(e);
        break;
      case trace_kind::wake:
        flow_begin(e);
        break;
      case trace_kind::pause:
        line(
            "\"ph\":\"i\",\"s\":\"t\",\"cat\":\"pause\",\"name\":\"pause\",\"ts\":{},\"tid\":{},"
            "\"args\":{{\"task\":{},\"site\":{}}}",
            us(e.begin), loop_row, quoted(e.name()), quoted(to_string(e.site)));
        flow_begin(e);
        break;
      case trace_kind::job:
        slice(e, job_row(e.id), "job", e.name());
        break;
      case trace_kind::sent:
        arrow("sent", loop_row, e.begin, job_row(e.id), e.end);
        break;
      case trace_kind::back:  // from within the job: at its end it is over
        arrow("back", job_row(e.id), e.begin - std::min<std::uint64_t>(e.begin, 1), loop_row,
              e.end);
        break;
      case trace_kind::span:
        span(e);
        break;
    }
  }
  void finish(std::uint64_t lost) {
    to_ << "\n],\"otherData\":{\"lost_events\":\"" << lost << "\"}}\n";
  }

private:
  static std::string us(std::uint64_t ns) { return fmt::format("{}.{:03}", ns / 1000, ns % 1000); }

  template <typename... Args>
  void line(fmt::format_string<Args...> form, Args&&... args) {
    to_ << (is_first_ ? "\n{\"pid\":1," : ",\n{\"pid\":1,");
    is_first_ = false;
    to_ << fmt::format(form, std::forward<Args>(args)...) << '}';
  }
  void row_name(int row, std::string_view name) {
    line("\"ph\":\"M\",\"name\":\"thread_name\",\"tid\":{},\"args\":{{\"name\":\"{}\"}}", row,
         name);
  }
  void slice(const trace_event& e, int row, std::string_view category, std::string_view name) {
    line("\"ph\":\"X\",\"cat\":\"{}\",\"name\":{},\"ts\":{},\"dur\":{},\"tid\":{}{}", category,
         quoted(name), us(e.begin), us(length(e.begin, e.end)), row, where(e.site));
  }
  // Viewers add begin and duration as doubles. Where the sum would reach into the slice that
  // follows at once it is a nanosecond shorter: DevTools leaves out what overlaps.
  static std::uint64_t length(std::uint64_t begin, std::uint64_t end) {
    const auto as_read = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
    const std::uint64_t ns = end - begin;
    const bool is_over = as_read(begin) + as_read(ns) > as_read(end);
    return is_over && ns > 0 ? ns - 1 : ns;
  }
  static std::string where(const std::source_location& site) {
    if (site.line() == 0) return {};
    return fmt::format(",\"args\":{{\"site\":{}}}", quoted(to_string(site)));
  }
  void span(const trace_event& e) {
    if (e.id == 0) {
      slice(e, loop_row, "span", e.name());
      return;
    }
    const std::uint64_t id = ++spans_;
    line("\"ph\":\"b\",\"cat\":\"span\",\"name\":{},\"id\":{},\"ts\":{},\"tid\":{}{}",
         quoted(e.name()), id, us(e.begin), loop_row, where(e.site));
    line("\"ph\":\"e\",\"cat\":\"span\",\"name\":{},\"id\":{},\"ts\":{},\"tid\":{}",
         quoted(e.name()), id, us(e.end), loop_row);
  }
  // An arrow is written once both of its ends are known: the ring may have lost either.
  void flow_begin(const trace_event& e) { woken_[e.id] = e.begin; }
  void flow_end(const trace_event& e) {
    const auto from = woken_.find(e.id);
    if (from == woken_.end()) return;
    arrow("wake", loop_row, from->second, loop_row, e.begin);
    woken_.erase(from);
  }
  // From the slice of a row that is open at `begin` to the one of another that is at `end`.
  void arrow(std::string_view name, int from, std::uint64_t begin, int to, std::uint64_t end) {
    ++flows_;
    line("\"ph\":\"s\",\"cat\":\"{0}\",\"name\":\"{0}\",\"id\":{1},\"ts\":{2},\"tid\":{3}", name,
         flows_, us(begin), from);
    line(
        "\"ph\":\"f\",\"bp\":\"e\",\"cat\":\"{0}\",\"name\":\"{0}\",\"id\":{1},\"ts\":{2},"
        "\"tid\":{3}",
        name, flows_, us(end), to);
  }
  int job_row(std::uint64_t thread) {
    const auto [at, is_new] =
        job_rows_.try_emplace(thread, first_job_row + static_cast<int>(job_rows_.size()));
    if (is_new) row_name(at->second, fmt::format("pool {}", job_rows_.size()));
    return at->second;
  }

  std::ostream& to_;
  bool is_first_ = true;
  std::uint64_t spans_ = 0;
  std::uint64_t flows_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> woken_;
  std::unordered_map<std::uint64_t, int> job_rows_;
};

// A frame of a folded stack: ';' and line ends would part it.
std::string frame(std::string_view text) {
  std::string out(text.empty() ? "unnamed" : text);
  for (char& c : out) {
    if (c == ';') c = ':';
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return out;
}

class folder {
public:
  void add(const trace_event& e) {
    close_before(e.begin);
    std::string stack = open_.empty() ? "" : open_.back().stack + ";";
    stack += frame(e.name());
    if (e.kind != trace_kind::span) stack += ";" + frame(to_string(e.site));
    const std::uint64_t length = e.end - e.begin;
    if (!open_.empty()) open_.back().own -= std::min(length, open_.back().own);
    open_.push_back({std::move(stack), e.end, length});
  }
  void write(std::ostream& to) {
    close_before(std::numeric_limits<std::uint64_t>::max());
    for (const auto& [stack, ns] : totals_) {
      if (ns > 0) to << stack << ' ' << ns << '\n';
    }
  }

private:
  struct level {
    std::string stack;
    std::uint64_t end;
    std::uint64_t own;
  };
  void close_before(std::uint64_t begin) {
    while (!open_.empty() && open_.back().end <= begin) {
      totals_[open_.back().stack] += open_.back().own;
      open_.pop_back();
    }
  }

  std::vector<level> open_;
  std::map<std::string, std::uint64_t> totals_;
};

}  // namespace

void write_chrome_json(std::ostream& to, const trace_snapshot& s) {
  chrome_writer writer(to);
  for (const trace_event& e : s.events) writer.write(e);
  writer.finish(s.lost);
}

void write_folded(std::ostream& to, const trace_snapshot& s) {
  bool has_tasks = false;
  for (const trace_event& e : s.events) has_tasks = has_tasks || e.kind == trace_kind::task;
  folder stacks;
  for (const trace_event& e : s.events) {
    const bool is_run = e.kind == (has_tasks ? trace_kind::task : trace_kind::stall);
    if (is_run || (e.kind == trace_kind::span && e.id == 0)) stacks.add(e);
  }
  stacks.write(to);
}

}  // namespace fermata
