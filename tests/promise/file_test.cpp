// SPDX-License-Identifier: MIT
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/context.hpp>
#include <fermata/promise/file.hpp>

#include <catch2/catch.hpp>
#include <sys/mman.h>
#include <sys/stat.h>

#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

using fermata::buffered_reader;
using fermata::byte_view;
using fermata::bytes_of;
using fermata::cancel;
using fermata::contract_error;
using fermata::event_loop;
using fermata::file;
using fermata::file_status;
using fermata::file_type;
using fermata::is_cancelled;
using fermata::loop_closed;
using fermata::open_file;
using fermata::open_options;
using fermata::promise;
using fermata::stream_of;
using fermata::test::failure_of;
using fermata::test::open_descriptors;
using fermata::test::read_some;
using fermata::test::stream_ptr;
using fermata::test::temp_folder;
using fermata::test::turns;
using fermata::test::until_jobs_run;
using fermata::test::until_pool_rests;
using fermata::test::until_settled;
using fermata::testing::options_of_run;

namespace {

/// A loop and a folder with files.
struct place : fermata::test::place {
  [[nodiscard]] std::string content(const std::string& name) const {
    return fermata::test::read_file(folder.path() / name);
  }
  file open(const std::string& name, const open_options& options) {
    const std::string at = path(name);
    return loop.run([&] { return open_file(at, options); });
  }
  std::string read(const file& f, std::uint64_t offset, std::size_t n) {
    std::string text(n, ' ');
    const auto into = std::as_writable_bytes(std::span(text));
    text.resize(loop.run([&] { return f.read_at(offset, into); }));
    return text;
  }
  void write(const file& f, std::uint64_t offset, const std::string& text) {
    loop.run([&] { return f.write_at(offset, bytes_of(text)); });
  }
};

/// More bytes than a worker writes while a test cancels it: they are never looked at.
class endless_bytes {
public:
  endless_bytes() : at_(::mmap(nullptr, size, PROT_NONE, flags, -1, 0)) {
    REQUIRE(at_ != MAP_FAILED);
  }
  endless_bytes(const endless_bytes&) = delete;
  endless_bytes& operator=(const endless_bytes&) = delete;
  ~endless_bytes() { ::munmap(at_, size); }
  [[nodiscard]] byte_view view() const { return {static_cast<const std::byte*>(at_), size}; }

private:
#ifdef FERMATA_SANITIZED
  static constexpr std::size_t size = std::size_t{64} << 30;  // each MiB is looked up
#else
  static constexpr std::size_t size = std::size_t{16} << 40;
#endif
  static constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* at_;
};

/// What this process has handed to write(2) and the like.
std::uint64_t bytes_handed_over() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::uint64_t n = 0;
  while (io >> name >> n) {
    if (name == "wchar:") return n;
  }
  throw std::runtime_error("the system does not count");
}

/// Cancels a write when its first pieces are written.
promise<> cancel_when_it_runs(promise<> p, std::uint64_t before) {
  while (bytes_handed_over() < before + 2'000'000) co_await fermata::pause();
  cancel(p);
  promise<> end = until_settled(p);
  co_await std::move(end);
}

}  // namespace

// ---- opening ----

TEST_CASE("a file is written and read at positions", "[promise][file]") {
  place at;
  file f = at.open("a", open_options::for_update());
  CHECK(f.path() == at.path("a"));
  at.write(f, 0, "hello");
  at.write(f, 7, "world");
  CHECK(at.read(f, 0, 100) == std::string("hello\0\0world", 12));
  CHECK(at.read(f, 7, 3) == "wor");
  CHECK(at.read(f, 100, 3).empty());
  CHECK(at.loop.run([&] { return f.size(); }) == 12);
  at.loop.run([&] { return f.truncate(5); });
  CHECK(at.read(f, 0, 100) == "hello");
  at.loop.run([&] { return f.sync(); });
  at.loop.run([&] { return f.sync_data(); });
  const file_status status = at.loop.run([&] { return f.status(); });
  CHECK(status.type == file_type::regular);
  CHECK(status.size == 5);
  at.loop.run([&] { return f.close(); });
  CHECK_FALSE(f);
  CHECK(at.content("a") == "hello");
}

TEST_CASE("the options say what is done with a file that is there", "[promise][file]") {
  place at;
  at.folder.write("a", "old content");
  at.write(at.open("a", open_options::for_update()), 0, "new");
  CHECK(at.content("a") == "new content");
  at.write(at.open("a", open_options::for_writing()), 0, "new");
  CHECK(at.content("a") == "new");
  const file log = at.open("a", open_options::for_appending());
  at.loop.run([&] { return log.append(bytes_of(" and")); });
  at.loop.run([&] { return log.append(bytes_of(" more")); });
  CHECK(at.content("a") == "new and more");
  open_options mine = open_options::for_writing();
  mine.create_new = true;
  mine.mode = 0600;
  const std::string path = at.path("a");
  CHECK_THROWS_WITH(at.loop.run([&] { return open_file(path, mine); }),
                    "cannot open " + path + ": file already exists (uv EEXIST)");
  const file fresh = at.open("b", mine);
  CHECK(at.loop.run([&] { return fresh.status(); }).mode == 0600);
}

TEST_CASE("errors of a file name the operation and the path", "[promise][file]") {
  place at;
  const std::string none = at.path("none");
  CHECK_THROWS_WITH(at.loop.run([&] { return open_file(none); }),
                    "cannot open " + none + ": no such file or directory (uv ENOENT)");
  const file folder = at.open("", open_options::for_reading());
  CHECK_THROWS_WITH(at.read(folder, 0, 1), "cannot read " + folder.path() +
                                               ": illegal operation on a directory (uv EISDIR)");
  at.folder.write("a", "x");
  const file reader = at.open("a", open_options::for_reading());
  CHECK_THROWS_WITH(at.write(reader, 0, "x"),
                    "cannot write " + reader.path() + ": bad file descriptor (uv EBADF)");
  CHECK_THROWS_WITH(at.loop.run([&] { return reader.truncate(0); }),
                    "cannot truncate " + reader.path() + ": invalid argument (uv EINVAL)");
  CHECK_THROWS_AS(at.loop.run([&] { return reader.append(bytes_of("x")); }), contract_error);
}

TEST_CASE("a FIFO is opened without waiting for its other end", "[promise][file]") {
  place at;
  REQUIRE(::mkfifo(at.path("fifo").c_str(), 0600) == 0);
  const file fifo = at.open("fifo", open_options::for_reading());
  CHECK_THROWS_WITH(at.read(fifo, 0, 1),
                    "cannot read " + fifo.path() + ": invalid seek (uv ESPIPE)");
}

TEST_CASE("no file is told from a file", "[promise][file]") {
  place at;
  file none;
  CHECK_FALSE(none);
  CHECK_THROWS_AS(none.path(), contract_error);
  CHECK_THROWS_AS(at.read(none, 0, 1), contract_error);
  CHECK_THROWS_AS(at.write(none, 0, "x"), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.append({}); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.sync(); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.sync_data(); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.size(); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.truncate(1); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.status(); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return none.close(); }), contract_error);
  CHECK_THROWS_AS(stream_of(file()), contract_error);
}

// ---- closing and cancelling ----

TEST_CASE("a file is closed behind what is under way", "[promise][file]") {
  place at;
  at.loop.run([&] { return open_file("/dev/null"); });  // the pool and its threads are there
  at.loop.run([&] { return until_pool_rests(at.loop); });
  const auto before = open_descriptors();
  promise<> writing;
  const std::string text(5'000'000, 'x');
  {
    const file f = at.open("a", open_options::for_writing());
    CHECK(open_descriptors() == before + 1);
    writing = f.write_at(0, bytes_of(text));
  }
  at.loop.run([&] { return writing; });
  at.loop.run([&] { return until_pool_rests(at.loop); });
  CHECK(open_descriptors() == before);
  CHECK(at.content("a") == text);
}

TEST_CASE("an operation on a file that has not started is cancelled at once", "[promise][file]") {
  place at;
  const auto before = open_descriptors();
  {
    const file f = at.open("a", open_options::for_writing());
    at.loop.run([&] { return until_pool_rests(at.loop); });
    at.loop.pool().set_bounds({0, 0});
    const promise<> writing = f.write_at(0, bytes_of("never"));
    const promise<file> opening = open_file(at.path("b"), open_options::for_writing());
    cancel(writing);
    cancel(opening);
    CHECK(is_cancelled(writing.error()));
    at.loop.run([&] { return until_settled(opening); });
    CHECK(is_cancelled(opening.error()));
    CHECK(at.loop.pool().counts().queued == 0);
  }
  at.loop.pool().set_bounds({0, 1});
  at.loop.run([&] { return until_pool_rests(at.loop); });
  CHECK(at.content("a").empty());
  CHECK_FALSE(std::filesystem::exists(at.folder.path() / "b"));
  CHECK(open_descriptors() <= before + 2);  // epoll and such of the pool's first use, no file
}

TEST_CASE("an operation on a file that runs is stopped and waited for", "[promise][file]") {
  place at;
  const endless_bytes bytes;
  open_options sink;
  sink.write = true;
  const file f = at.loop.run([&] { return open_file("/dev/null", sink); });
  const std::uint64_t before = bytes_handed_over();
  const promise<> writing = f.write_at(0, bytes.view());
  at.loop.run([&] { return cancel_when_it_runs(writing, before); });
  CHECK(is_cancelled(writing.error()));
  at.loop.run([&] { return until_pool_rests(at.loop); });
}

TEST_CASE("the end of a loop ends what files wait for and closes them", "[promise][file]") {
  const temp_folder folder;
  const std::string path = (folder.path() / "a").string();
  const auto before = open_descriptors();
  std::optional<file> kept;
  promise<> runs;
  promise<std::uint64_t> waits;
  const endless_bytes bytes;
  {
    event_loop loop;
    open_options sink;
    sink.write = true;
    kept = loop.run([&] { return open_file("/dev/null", sink); });
    loop.pool().set_bounds({1, 1});
    runs = kept->write_at(0, bytes.view());
    loop.run([&] { return until_jobs_run(loop); });
    waits = kept->size();
  }
  CHECK_THROWS_AS(std::move(runs).get(), loop_closed);
  CHECK_THROWS_AS(std::move(waits).get(), loop_closed);
  kept = std::nullopt;  // without a loop
  CHECK(open_descriptors() == before);
}

// ---- streams ----

TEST_CASE("a file is a stream in both directions", "[promise][file]") {
  place at;
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i) + "\n";
  const stream_ptr out = stream_of(at.open("a", open_options::for_writing()));
  at.loop.run([&] { return fermata::test::write_and_end(*out, text); });
  CHECK(out->counts().written_bytes == text.size());
  CHECK(out->peer() == at.path("a"));
  CHECK_THROWS_WITH(at.loop.run([&] { return fermata::write_text(*out, "x"); }),
                    "cannot write to " + at.path("a") + ": bad file descriptor (uv EBADF)");

  const stream_ptr in = stream_of(at.open("a", open_options::for_reading()), 2);
  CHECK(at.loop.run([&] { return read_some(*in, 4); }) == text.substr(2, 4));
  CHECK(at.loop.run([&] { return fermata::read_to_end(*in, text.size()); }) == text.substr(6));
  CHECK(in->counts().read_bytes == text.size() - 2);
  CHECK_THROWS_AS(at.loop.run([&] { return in->read({}); }), contract_error);
}

TEST_CASE("a stream of a file appends where the file does", "[promise][file]") {
  place at;
  at.folder.write("a", "begin");
  const stream_ptr out = stream_of(at.open("a", open_options::for_appending()));
  at.loop.run([&] { return fermata::write_text(*out, ", middle"); });
  at.loop.run([&] { return fermata::write_text(*out, ", end"); });
  CHECK(at.content("a") == "begin, middle, end");
}

TEST_CASE("lines of a file come one after the other", "[promise][file]") {
  place at;
  at.folder.write("a", "one\ntwo\n");
  const stream_ptr in = stream_of(at.open("a", open_options::for_reading()));
  buffered_reader reader(*in);
  CHECK(at.loop.run([&] { return reader.read_line(9); }) == "one");
  CHECK(at.loop.run([&] { return reader.read_line(9); }) == "two");
  CHECK(at.loop.run([&] { return reader.read_line(9); }) == std::nullopt);
}

TEST_CASE("a cancelled read of a file's stream has taken nothing", "[promise][file]") {
  place at;
  at.folder.write("a", "abc");
  const stream_ptr in = stream_of(at.open("a", open_options::for_reading()));
  at.loop.pool().set_bounds({0, 0});
  const promise<std::string> first = read_some(*in, 2);
  CHECK_THROWS_AS(at.loop.run([&] { return read_some(*in, 2); }), contract_error);
  cancel(first);
  at.loop.run([&] { return until_settled(first); });
  CHECK(is_cancelled(first.error()));
  at.loop.pool().set_bounds({0, 1});
  CHECK(at.loop.run([&] { return read_some(*in, 2); }) == "ab");
}

TEST_CASE("a cancelled write of a file's stream says how far it came", "[promise][file]") {
  place at;
  const endless_bytes bytes;
  open_options sink;
  sink.write = true;
  const stream_ptr out = stream_of(at.loop.run([&] { return open_file("/dev/null", sink); }));
  const std::uint64_t before = bytes_handed_over();
  const promise<> writing = out->write(bytes.view());
  CHECK_THROWS_AS(at.loop.run([&] { return out->write({}); }), contract_error);
  CHECK_THROWS_AS(at.loop.run([&] { return out->shutdown(); }), contract_error);
  at.loop.run([&] { return cancel_when_it_runs(writing, before); });
  CHECK(is_cancelled(writing.error()));
  CHECK(out->counts().written_bytes > 0);
  CHECK(out->counts().written_bytes % (1024 * 1024) == 0);
  CHECK(out->counts().written_bytes < bytes.view().size());
}

TEST_CASE("closing a file's stream cancels what is under way", "[promise][file]") {
  place at;
  at.folder.write("a", "abc");
  open_options both = open_options::for_update();
  const stream_ptr s = stream_of(at.open("a", both));
  at.loop.pool().set_bounds({0, 0});
  const promise<std::string> reading = read_some(*s, 2);
  const promise<> writing = fermata::write_text(*s, "x");
  s->close();
  at.loop.run([&] { return until_settled(reading); });
  at.loop.run([&] { return until_settled(writing); });
  CHECK(is_cancelled(reading.error()));
  CHECK(is_cancelled(writing.error()));
  CHECK(failure_of(at.loop, read_some(*s, 1)) ==
        "cannot read from " + at.path("a") + ": bad file descriptor (uv EBADF)");
  CHECK(at.content("a") == "abc");
}
