// SPDX-License-Identifier: MIT
// Text, JSON and bounds.

#include "probe_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fermata::http {
namespace {

using std::chrono::microseconds;

constexpr std::size_t bar_width = 40;

long long us(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<microseconds>(d).count();
}

std::uint64_t failures(const probe_report& r) { return r.errors + r.non_200 + r.unanswered; }

}  // namespace

std::vector<std::pair<microseconds, std::size_t>> histogram(latency_log& l) {
  std::vector<std::pair<microseconds, std::size_t>> out;
  std::size_t before = 0;
  for (std::int64_t power = 1; before < l.count(); power *= 10) {
    for (const std::int64_t first : {1, 2, 5}) {
      const microseconds end(first * power);
      const std::size_t within = l.count_within(end);
      if (!out.empty() || within > 0) out.emplace_back(end, within - before);
      before = within;
      if (before == l.count()) break;
    }
  }
  return out;
}

std::string as_text(probe_report& r) {
  latency_log& l = r.latency;
  latency_log& own = r.late_send;
  std::string out;
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "requests {} in {:.1f} s, answers {}, non-200 {}, errors {}, unanswered {}\n",
                 r.requests, std::chrono::duration<double>(r.duration).count(), r.answers,
                 r.non_200, r.errors, r.unanswered);
  fmt::format_to(to, "latency    p50 {} us, p90 {} us, p99 {} us, p99.9 {} us, max {} us\n",
                 us(l.percentile(50)), us(l.percentile(90)), us(l.percentile(99)),
                 us(l.percentile(99.9)), us(l.longest()));
  fmt::format_to(to, "longest outage {} us, connections {}\n", us(r.longest_outage), r.connections);
  fmt::format_to(to, "late_send  p50 {} us, p99 {} us, max {} us\n\n", us(own.percentile(50)),
                 us(own.percentile(99)), us(own.longest()));
  const auto buckets = histogram(l);
  std::size_t most = 1;
  for (const auto& [end, count] : buckets) most = std::max(most, count);
  for (const auto& [end, count] : buckets) {
    const std::size_t bar = (count * bar_width + most - 1) / most;
    fmt::format_to(to, "{:>9} us {:>9} {}\n", end.count(), count, std::string(bar, '#'));
  }
  return out;
}

std::string as_json(probe_report& r) {
  latency_log& l = r.latency;
  latency_log& own = r.late_send;
  std::string buckets;
  for (const auto& [end, count] : histogram(l))
    fmt::format_to(std::back_inserter(buckets), "{}[{},{}]", buckets.empty() ? "" : ",",
                   end.count(), count);
  return fmt::format(
      R"({{"requests":{},"answers":{},"non_200":{},"errors":{},"unanswered":{},)"
      R"("p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{},"max_us":{},"longest_outage_us":{},)"
      R"("late_send":{{"p50_us":{},"p99_us":{},"max_us":{}}},"connections":{},"seconds":{:.3f},)"
      R"("histogram_us":[{}]}})"
      "\n",
      r.requests, r.answers, r.non_200, r.errors, r.unanswered, us(l.percentile(50)),
      us(l.percentile(90)), us(l.percentile(99)), us(l.percentile(99.9)), us(l.longest()),
      us(r.longest_outage), us(own.percentile(50)), us(own.percentile(99)), us(own.longest()),
      r.connections, std::chrono::duration<double>(r.duration).count(), buckets);
}

std::vector<std::string> breaches(probe_report& r, const probe_bounds& b) {
  std::vector<std::string> out;
  const microseconds p99 = r.latency.percentile(99);
  if (b.p99 && r.answers == 0) out.push_back("no request was answered: there is no p99");
  if (b.p99 && p99 > *b.p99)
    out.push_back(fmt::format("p99 is {} us, over {} us", p99.count(), b.p99->count()));
  if (b.outage && r.longest_outage > *b.outage) {
    out.push_back(fmt::format("the longest outage is {} us, over {} us", us(r.longest_outage),
                              b.outage->count()));
  }
  if (b.errors && failures(r) > *b.errors)
    out.push_back(fmt::format("{} requests failed, over {}", failures(r), *b.errors));
  return out;
}

}  // namespace fermata::http
