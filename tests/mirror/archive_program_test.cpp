// SPDX-License-Identifier: MIT
// fermata-mirror is killed in the middle of its downloads, and started again.

#include "program_support.hpp"
#include "support/fixture_upstream.hpp"

#include <fermata/mirror/archive_hash.hpp>
#include <fermata/promise/loop_thread.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace fermata::mirror::test;
using fermata::test::fixture_upstream;
using json = nlohmann::json;

namespace {

// An upstream on a thread of its own, which outlives the mirrors.
class upstream_thread {
public:
  upstream_thread() {
    here_.run([this] {
      return there_.submit([this] { upstream_ = std::make_unique<fixture_upstream>(); });
    });
  }
  ~upstream_thread() {
    here_.run([this] { return there_.submit([this] { return upstream_->end(); }); });
    here_.run([this] { return there_.submit([this] { upstream_.reset(); }); });
  }
  void with(std::function<void(fixture_upstream&)> f) {
    here_.run([&] { return there_.submit([this, f] { f(*upstream_); }); });
  }

private:
  event_loop here_;
  loop_thread there_;
  std::unique_ptr<fixture_upstream> upstream_;
};

promise<> until(std::uint16_t port, std::function<bool(const json&)> is_so) {
  for (;;) {
    promise<answer> asking = ask_port(port, "GET", "/archives.json");
    const answer a = co_await std::move(asking);
    if (is_so(json::parse(a.body))) co_return;
    promise<> tick = sleep_for(std::chrono::milliseconds(2));  // nobody tells
    co_await tick;
  }
}

void wait_for(mirror_process& m, std::function<bool(const json&)> is_so) {
  m.loop().run([&] { return until(port_of(m.authority()), std::move(is_so)); });
}

}  // namespace

TEST_CASE("kill -9 in the middle of a download loses neither it nor what is known of failures",
          "[mirror][archives][kill]") {
  using manner = fixture_upstream::manner;
  const temp_folder folder;
  const std::string bytes(400'000, 'x');
  const std::string sum = "sha256=" + fermata::test::sum_of(folder, "sha256sum", bytes);
  upstream_thread upstream;
  make_repository(folder);
  upstream.with([&](fixture_upstream& u) {
    u["/c"] = {bytes, manner::slow, ""};
    folder.write("r/packages/c/c.1/opam",
                 "url { src: \"" + u.url("/c") + "\" checksum: \"" + sum + "\" }\n");
    folder.write("r/packages/d/d.1/opam", "url { src: \"" + u.url("/d") + "\" checksum: \"md5=" +
                                              std::string(32, '1') + "\" }\n");
  });
  folder.run("cd r && git add . && git commit -q -m archives");
  const std::vector<std::string> arguments{"--remote", (folder.path() / "r").string(), "--data",
                                           (folder.path() / "data").string()};
  {
    mirror_process m(arguments);
    wait_for(m, [](const json& j) {
      return j.at("failed") == 1 && j.at("active").size() == 1 &&
             j.at("active")[0].at("bytes").get<int>() > 20'000;
    });
    const std::string list = (folder.path() / "data/cache/failures").string();
    while (!std::filesystem::exists(list)) wait_for(m, [](const json&) { return true; });
    CHECK_FALSE(m.stop(SIGKILL).is_success());
  }
  upstream.with([](fixture_upstream& u) { u["/c"].how = manner::whole; });
  mirror_process m(arguments);
  wait_for(m, [](const json& j) { return j.at("present") == 1 && j.at("failed") == 1; });
  const std::string path = "/cache/" + archive_hash::parse(sum)->path();
  CHECK(m.loop().run([&] { return ask_port(port_of(m.authority()), "GET", path); }).body == bytes);
  std::vector<int> asked;
  upstream.with([&asked](fixture_upstream& u) {
    asked = {u.asked("/c"), u.asked_from_middle(), u.asked("/d")};
  });
  CHECK(asked == std::vector<int>{2, 1, 1});
  CHECK(m.stop(SIGTERM).is_success());
}
