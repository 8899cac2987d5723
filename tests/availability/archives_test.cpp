// SPDX-License-Identifier: MIT
// The bound on a loop whose mirror does all that it does with archives at once: twenty downloads
// run, what has come is hashed, linked and verified again, and clients are served.

#include "bound.hpp"
#include "support/temp_repository.hpp"

#include <fermata/http/client.hpp>
#include <fermata/http/server.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/archive_service.hpp>
#include <fermata/mirror/opam_sources.hpp>
#include <fermata/promise/loop_thread.hpp>
#include <fermata/promise/sleep.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace fermata;
using namespace fermata::mirror;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t archives = 120;
constexpr std::size_t archive_bytes = 2'000'000;
constexpr std::size_t jobs = 20;
constexpr std::size_t clients = 8;

std::string bytes_of(std::size_t n) {
  std::string bytes(archive_bytes, static_cast<char>('a' + n % 26));
  return bytes.replace(0, 8, std::to_string(10'000'000 + n));
}

// An archive in pieces that come one after another, so that the transfers last.
struct trickle {
  std::string bytes;
  std::size_t at = 0;
};
promise<http::shared_bytes> next_piece(std::shared_ptr<trickle> t) {
  constexpr std::size_t piece = 50'000;
  promise<> rest = sleep_for(2ms);
  co_await rest;
  const std::string_view left = std::string_view(t->bytes).substr(t->at, piece);
  t->at += left.size();
  co_return http::shared_bytes(std::string(left));
}

http::response answer(const http::request& r) {
  auto t = std::make_shared<trickle>();
  t->bytes = bytes_of(std::stoul(std::string(r.path().substr(1))));
  http::response out;
  out.stream_bytes = t->bytes.size();
  out.stream = [t] { return next_piece(t); };
  return out;
}

// What the other side of the mirror needs: upstream, and clients that ask one after another.
struct other_side {
  other_side() : upstream([](const http::request& r) { return ready(answer(r)); }) {
    http::client_options how;
    how.most_per_host = clients;
    how.defaults.proxy = "";
    asking = std::make_unique<http::client>(std::move(how));
    address = upstream.listen("127.0.0.1:0");
  }
  http::server upstream;
  std::string address;
  std::unique_ptr<http::client> asking;
  std::vector<promise<>> loops;
  std::size_t answers = 0;
  std::uint64_t bytes = 0;
};

promise<> ask_for_ever(other_side& o, std::string base, std::vector<std::string> paths) {
  for (std::size_t i = 0;; ++i) {
    http::client_request r(base + paths[i % paths.size()]);
    promise<http::client_response> sending = o.asking->send(std::move(r));
    http::client_response got = co_await std::move(sending);
    for (;;) {
      promise<http::shared_bytes> reading = got.body.read();
      const http::shared_bytes piece = co_await reading;
      if (piece.empty()) break;
      o.bytes += piece.size();
    }
    if (got.status == 200) ++o.answers;
  }
}

// Until none of them uses what they ask with.
promise<> stop_asking(other_side& o) {
  for (const promise<>& p : o.loops) cancel(p);
  for (const promise<>& p : o.loops) {
    try {
      co_await p;
    } catch (const cancelled&) {
    }
  }
}

struct outcome {
  archive_status status;
  std::chrono::nanoseconds gap{0};
  std::string site;
  std::size_t most_active = 0;
  std::size_t answers = 0;
  std::uint64_t bytes = 0;
};

class archive_run {
public:
  explicit archive_run(const test::temp_folder& folder) {
    archive_options o;
    o.folder = (folder.path() / "cache").string();
    o.jobs = jobs + jobs / 8;  // some of both are kept for what clients ask for
    o.per_host = jobs + jobs / 3;
    o.scrub_interval = 10ms;
    o.scrub_bytes_per_second = std::uint64_t{1} << 40;
    o.collect_interval = 50ms;
    o.client.most_transfers = o.jobs;
    o.client.most_per_host = o.per_host;
    o.client.defaults.proxy = "";
    service_ = std::make_unique<archive_service>(std::move(o), catalogue_);
    server_ = std::make_unique<http::server>(
        [this](const http::request& r) { return service_->serve(r); });
    base_ = "http://" + server_->listen("127.0.0.1:0");
    running_ = service_->run();
  }

  promise<outcome> run(loop_thread& there, const test::temp_folder& folder) {
    promise<std::string> starting = there.submit([this] {
      other_ = std::make_unique<other_side>();
      return other_->address;
    });
    const std::string upstream = co_await std::move(starting);
    fill(folder, upstream);
    promise<> updating = service_->update(update());
    co_await updating;
    promise<> asking = there.submit([this] {
      for (std::size_t i = 0; i < clients; ++i) {
        other_->loops.push_back(ask_for_ever(*other_, base_, paths_));
      }
    });
    co_await asking;
    event_loop::current().reset_gaps();
    promise<outcome> watching = watch();
    outcome o = co_await std::move(watching);
    promise<> ending = there.submit([this, &o] {
      o.answers = other_->answers;
      o.bytes = other_->bytes;
      return stop_asking(*other_);
    });
    co_await ending;
    promise<> ended = end(there);
    co_await ended;
    co_return o;
  }

private:
  void fill(const test::temp_folder& folder, const std::string& upstream) {
    for (std::size_t n = 0; n < archives; ++n) {
      folder.write("summed", bytes_of(n));
      const std::string sum = folder.output("sha256sum summed").substr(0, 64);
      const std::string name = "a" + std::to_string(n);
      std::array<std::uint8_t, 20> id{};
      catalogue_.set_file(
          name + "/" + name + ".1/opam", git_mem::object_id::from_bytes(id.data()),
          read_opam_sources("url { src: \"http://" + upstream + "/" + std::to_string(n) +
                            "\" checksum: \"sha256=" + sum + "\" }\n"));
      paths_.push_back("/cache/" + archive_hash::parse("sha256=" + sum)->path());
    }
  }
  catalogue_update update() {
    catalogue_update u;
    u.touched = catalogue_.take_touched();
    return u;
  }
  promise<outcome> watch() {
    outcome o;
    while (service_->status().present < archives) {
      o.most_active = std::max(o.most_active, service_->status().active.size());
      promise<> tick = sleep_for(2ms);
      co_await tick;
    }
    const gap_report gap = event_loop::current().metrics().longest_gap;
    o.gap = gap.cpu;
    o.site = fermata::to_string(gap.cpu_site);
    o.status = service_->status();
    co_return o;
  }
  promise<> end(loop_thread& there) {
    promise<> others = there.submit([this] { return other_->upstream.shutdown(0ns); });
    co_await others;
    promise<> gone = there.submit([this] { other_.reset(); });
    co_await gone;
    promise<> closed = server_->shutdown(0ns);
    co_await closed;
    cancel(running_);
    try {
      co_await running_;
    } catch (const cancelled&) {
    }
  }

  archive_catalogue catalogue_;
  std::unique_ptr<archive_service> service_;
  std::unique_ptr<http::server> server_;
  std::string base_;
  std::vector<std::string> paths_;
  std::unique_ptr<other_side> other_;
  promise<> running_;
};

outcome measure() {
  const test::temp_folder folder;
  loop_options options;
  options.measure_cpu = true;
  event_loop loop(std::move(options));
  loop_thread there;
  std::unique_ptr<archive_run> run;
  outcome o;
  loop.run([&] {
    run = std::make_unique<archive_run>(folder);
    return run->run(there, folder).map([&o](outcome got) { o = std::move(got); });
  });
  return o;
}

}  // namespace

TEST_CASE("twenty downloads, hashing, a scrub and clients hold the loop for less than 2 ms",
          "[availability]") {
  const std::chrono::nanoseconds least = test::least_gap([] {
    const outcome o = measure();
    std::printf(
        "longest gap %ld us of CPU, ended at %s; %zu downloads at once, %zu verified, %zu answers, "
        "%ld MB\n",
        static_cast<long>(o.gap / 1us), o.site.c_str(), o.most_active, o.status.checked, o.answers,
        static_cast<long>(o.bytes / 1'000'000));
    CHECK(o.most_active == jobs);
    CHECK(o.status.checked > 0);
    CHECK(o.status.failed == 0);
    CHECK(o.answers > archives);
    return o.gap;
  });
  CHECK(least > 0ns);
  CHECK(least <= test::bound());
}
