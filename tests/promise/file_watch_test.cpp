// SPDX-License-Identifier: MIT
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/context.hpp>
#include <fermata/promise/file_watch.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using fermata::cancel;
using fermata::change_kind;
using fermata::contract_error;
using fermata::event_loop;
using fermata::file_change;
using fermata::file_watch;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::policy;
using fermata::promise;
using fermata::with_policy;
using fermata::test::open_descriptors;
using fermata::test::temp_folder;
using fermata::test::turns;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace fs = std::filesystem;

namespace {

/// A folder that is watched.
struct watched_folder {
  watched_folder() { watch.add(path("")); }

  [[nodiscard]] std::string path(const std::string& name) const {
    return name.empty() ? folder.path().string() : (folder.path() / name).string();
  }
  file_change next() {
    return loop.run([this] { return watch.next(); });
  }

  event_loop loop{options_of_run()};
  temp_folder folder;
  file_watch watch;
};

/// Until an overflow is told; how many changes came before.
promise<int> until_overflow(file_watch& watch) {
  for (int before = 0;; ++before) {
    promise<file_change> coming = watch.next();
    const file_change change = co_await std::move(coming);
    if (change.kind == change_kind::overflow) {
      CHECK(change.path.empty());
      co_return before;
    }
  }
}

}  // namespace

TEST_CASE("changes in a directory are told in their order", "[promise][file_watch]") {
  watched_folder w;
  fs::create_directory(w.path("d"));
  file_change change = w.next();
  CHECK(change.kind == change_kind::created);
  CHECK(change.path == w.path("d"));
  CHECK(change.is_directory);

  w.folder.write("a", "content");
  change = w.next();
  CHECK(change.kind == change_kind::created);
  CHECK(change.path == w.path("a"));
  CHECK_FALSE(change.is_directory);
  CHECK(w.next().kind == change_kind::modified);
  REQUIRE(::chmod(w.path("a").c_str(), 0600) == 0);
  CHECK(w.next().kind == change_kind::attributes);

  fs::rename(w.path("a"), w.path("b"));
  const file_change from = w.next();
  CHECK(from.kind == change_kind::removed);
  CHECK(from.path == w.path("a"));
  const file_change to = w.next();
  CHECK(to.kind == change_kind::created);
  CHECK(to.path == w.path("b"));
  CHECK(to.move != 0);
  CHECK(to.move == from.move);

  fs::remove(w.path("b"));
  change = w.next();
  CHECK(change.kind == change_kind::removed);
  CHECK(change.path == w.path("b"));
}

TEST_CASE("a change is waited for, and a cancel loses none", "[promise][file_watch]") {
  watched_folder w;
  const promise<file_change> first = w.watch.next();
  w.loop.run([] { return turns(3); });
  CHECK(first.is_pending());
  CHECK_THROWS_AS(w.loop.run([&] { return w.watch.next(); }), contract_error);
  cancel(first);
  w.loop.run([&] { return until_settled(first); });
  CHECK(is_cancelled(first.error()));
  const promise<file_change> second = w.watch.next();
  w.folder.write("a", "");
  CHECK(w.loop.run([&] { return second; }).path == w.path("a"));
}

TEST_CASE("a file is watched until it is gone", "[promise][file_watch]") {
  watched_folder w;
  const temp_folder elsewhere;
  elsewhere.write("file", "old");
  const std::string file = (elsewhere.path() / "file").string();
  w.watch.add(file);
  w.watch.add(file);
  std::ofstream(file, std::ios::app) << "more";
  CHECK(w.next().path == file);
  fs::remove(file);
  CHECK(w.next().kind == change_kind::attributes);  // its last name is gone
  const file_change gone = w.next();
  CHECK(gone.kind == change_kind::gone);
  CHECK(gone.path == file);

  elsewhere.write("file", "new");
  w.watch.add(file);
  fs::rename(file, w.path("moved"));
  CHECK(w.next().kind == change_kind::created);
  const file_change moved = w.next();
  CHECK(moved.kind == change_kind::gone);
  CHECK(moved.path == file);
  std::ofstream(w.path("moved"), std::ios::app) << "more";
  CHECK(w.next().path == w.path("moved"));  // told by the folder alone
}

TEST_CASE("what is no longer watched is not told", "[promise][file_watch]") {
  watched_folder w;
  const temp_folder other;
  w.watch.add(other.path().string());
  w.folder.write("unseen", "");
  w.watch.remove(w.path(""));
  w.watch.remove(w.path("never added"));
  w.folder.write("late", "");
  other.write("seen", "");
  CHECK(w.next().path == (other.path() / "seen").string());
}

TEST_CASE("more changes than the system keeps are told as an overflow", "[promise][file_watch]") {
  watched_folder w;
  int most = 0;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> most;
  if (most <= 0 || most > 100'000) {
    std::puts("skipped: the queue of inotify is too long to fill");
    return;
  }
  const int a = ::open(w.path("a").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const int b = ::open(w.path("b").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  for (int i = 0; i < most; ++i) REQUIRE(::pwrite(i % 2 == 0 ? a : b, "x", 1, 0) == 1);
  ::close(a);
  ::close(b);
  CHECK(w.loop.run([&] { return until_overflow(w.watch); }) >= most - 1);
  w.folder.write("c", "");
  CHECK(w.next().path == w.path("c"));
}

TEST_CASE("events that are not told are passed in bounded steps", "[promise][file_watch]") {
  watched_folder w;
  const temp_folder other;
  w.watch.add(other.path().string());
  for (int i = 0; i < 50; ++i) w.folder.write("f" + std::to_string(i), "");
  w.watch.remove(w.path(""));  // 50 changes of it wait still
  other.write("seen", "");
  const std::uint64_t before = w.loop.metrics().looks;
  const file_change change =
      w.loop.run([&] { return with_policy(policy::always(), [&] { return w.watch.next(); }); });
  CHECK(change.path == (other.path() / "seen").string());
  CHECK(w.loop.metrics().looks - before >= 50);
}

TEST_CASE("what cannot be watched is named", "[promise][file_watch]") {
  watched_folder w;
  const std::string none = w.path("none");
  CHECK_THROWS_WITH(w.watch.add(none),
                    "cannot watch " + none + ": no such file or directory (uv ENOENT)");
}

TEST_CASE("a closed watch ends its wait and says so", "[promise][file_watch]") {
  watched_folder w;
  const promise<file_change> waiting = w.watch.next();
  w.watch.close();
  w.loop.run([&] { return until_settled(waiting); });
  CHECK(is_cancelled(waiting.error()));
  CHECK_THROWS_AS(w.watch.add("/"), contract_error);
  CHECK_THROWS_AS(w.next(), contract_error);
  w.watch.remove("/");
}

TEST_CASE("the end of a loop ends a file watch", "[promise][file_watch]") {
  const auto before = open_descriptors();
  std::optional<file_watch> watch;
  promise<file_change> waiting;
  {
    const event_loop loop;
    watch.emplace();
    watch->add("/");
    waiting = watch->next();
  }
  CHECK_THROWS_AS(std::move(waiting).get(), loop_closed);
  CHECK(open_descriptors() == before);
}
