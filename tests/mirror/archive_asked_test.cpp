// SPDX-License-Identifier: MIT
// Archives that are asked for before they are there: in front of others, within the bounds.

#include "archive_place.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;

namespace {

archive_options on_demand(std::size_t jobs, std::size_t per_host) {
  archive_options o;
  o.skip_download = true;
  o.jobs = jobs;
  o.per_host = per_host;
  return o;
}

// So many archives of one host, that are answered in this manner.
std::vector<std::string> add_all(place& p, int count, manner how, const std::string& name = "p") {
  std::vector<std::string> sums;
  for (int i = 0; i < count; ++i) {
    const std::string n = name + std::to_string(i);
    sums.push_back(p.add(n + ".1", "/" + n, std::string(2500, 'x') + n));
    (*p.upstream)["/" + n].how = how;
  }
  p.publish();
  return sums;
}

bool are_all(const std::vector<answer>& answers, int status) {
  return std::all_of(answers.begin(), answers.end(),
                     [status](const answer& a) { return a.status == status; });
}

}  // namespace

TEST_CASE("archives that are asked for keep to the limits of downloads", "[mirror][archives]") {
  const auto most_at_once = [](std::size_t jobs, std::size_t per_host) {
    place p(on_demand(jobs, per_host));
    const std::vector<answer> answers = p.get_all(add_all(p, 8, manner::slow));
    CHECK(answers.size() == 8);
    CHECK(are_all(answers, 200));
    CHECK(p.status().fetched == 8);
    CHECK(p.status().asked == 0);
    return p.upstream->most_at_once();
  };
  CHECK(most_at_once(2, 8) == 2);
  CHECK(most_at_once(8, 3) == 3);
}

TEST_CASE("an archive that is asked for is the next of all", "[mirror][archives]") {
  archive_options o;
  o.jobs = 1;
  o.per_host = 1;
  place p(o);
  const std::vector<std::string> sums = add_all(p, 10, manner::slow);
  std::string last;  // which come first is not ours to say
  p.wait_for([](const archive_status& s) { return s.active.size() == 1 && s.waiting == 9; });
  for (int i = 0; i < 10; ++i) {
    if (p.upstream->asked("/p" + std::to_string(i)) == 0) last = sums[static_cast<std::size_t>(i)];
  }
  CHECK(p.get(last).status == 200);
  CHECK(p.status().downloaded <= 3);
  p.wait_for(is_idle);
  CHECK(p.status().present == 10);
  CHECK(p.upstream->most_at_once() == 1);
}

TEST_CASE("a part of the downloads is kept for archives that are asked for", "[mirror][archives]") {
  archive_options o;
  o.jobs = 16;
  o.per_host = 4;
  place p(o);
  add_all(p, 6, manner::hanging);
  p.wait_for([](const archive_status& s) { return s.active.size() == 3; });
  const std::string good = add_all(p, 1, manner::whole, "q").front();
  CHECK(p.status().active.size() == 3);
  CHECK(p.status().waiting == 4);
  CHECK(p.get(good).status == 200);
}

TEST_CASE("no more requests wait for archives than may", "[mirror][archives]") {
  archive_options o = on_demand(1, 1);
  o.most_waiting = 2;
  place p(o);
  const std::vector<std::string> sums = add_all(p, 3, manner::hanging);
  std::vector<std::unique_ptr<byte_stream>> clients;
  clients.push_back(p.begin_get(sums[0]));
  clients.push_back(p.begin_get(sums[1]));
  p.wait_for([](const archive_status& s) { return s.active.size() == 1 && s.asked == 1; });
  const answer refused = p.get(sums[1]);
  CHECK(refused.status == 503);
  CHECK(refused.body == "too many archives are being waited for\n");
  CHECK(refused.field("Retry-After") == "10");
  CHECK(refused.field("Cache-Control") == "no-store");
  CHECK(p.status().refused == 1);
  CHECK(p.status().misses == 2);

  clients.clear();
  // The try that is under way goes on and counts; what nobody waits for any more does not.
  p.wait_for([](const archive_status& s) { return s.asked == 0; });
  p.wait_for([&p](const archive_status&) { return p.counters().active_requests == 0; });
  CHECK(p.counters().abandoned == 2);
  CHECK(p.status().active.size() == 1);
  CHECK(p.upstream->asked("/p0") == 1);
  CHECK(p.upstream->asked("/p1") == 0);
  clients.push_back(p.begin_get(sums[2]));
  p.wait_for([](const archive_status& s) { return s.active.size() == 1 && s.asked == 1; });
}

TEST_CASE("a host that hangs does not take all places of what is asked for", "[mirror][archives]") {
  place p(on_demand(2, 1));
  std::vector<std::string> sums = add_all(p, 66, manner::hanging);
  const std::string elsewhere = p.add("e.1", "/e", "else");
  const std::string url = p.upstream->url("/e");  // the same machine by another name
  p.write("e.1", "url { src: \"http://localhost" + url.substr(url.rfind(':')) + "\" checksum: \"" +
                     elsewhere + "\" }\n");
  p.publish();
  const std::string extra = sums.back();
  sums.pop_back();
  std::vector<std::unique_ptr<byte_stream>> clients;
  for (const std::string& sum : sums) clients.push_back(p.begin_get(sum));
  p.wait_for([](const archive_status& s) { return s.active.size() == 1 && s.asked == 64; });
  CHECK(p.get(extra).status == 503);
  CHECK(p.get(elsewhere).status == 200);
}

TEST_CASE("who waits for an archive is answered when no package names it any more",
          "[mirror][archives]") {
  place p(on_demand(1, 1));
  const std::vector<std::string> sums = add_all(p, 2, manner::hanging);
  const auto first = p.begin_get(sums[0]);
  const auto second = p.begin_get(sums[1]);
  p.wait_for([](const archive_status& s) { return s.asked == 1; });
  p.remove("p1.1");
  p.publish();
  const std::string text = p.loop.run([&] { return read_to_end(*second, 1 << 20); });
  CHECK(read_answer(text).status == 503);
  CHECK(p.status().asked == 0);
}
