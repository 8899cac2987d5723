// SPDX-License-Identifier: MIT
// Every check that the library makes in the course of its own work, by the
// function that it is in: each is reached here, on virtual time, where every
// check is a step's end. One that is deleted is missed.
#include "file_support.hpp"
#include "stream_support.hpp"
#include "support/written_sites.hpp"
#include "waits_for.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/cancel.hpp>
#include <fermata/promise/combine.hpp>
#include <fermata/promise/directory_walk.hpp>
#include <fermata/promise/dns.hpp>
#include <fermata/promise/file_watch.hpp>
#include <fermata/promise/list.hpp>
#include <fermata/promise/scope.hpp>
#include <fermata/promise/send_file.hpp>
#include <fermata/promise/tcp.hpp>
#include <fermata/promise/test_loop.hpp>
#include <fermata/promise/udp.hpp>
#include <fermata/promise/unix_socket.hpp>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace fermata::test;
using fermata::promise;
namespace list = fermata::list;

namespace {

// The checks that steps have ended at; of a template, whose name may hold any type, by its file.
void collect(written_sites& sites, const fermata::loop_metrics& m) {
  for (const fermata::site_time& s : m.held.sorted()) {
    std::string_view file = s.site.file_name();
    const std::size_t begin = std::min(file.rfind("promise/src/"), file.rfind("promise/include/"));
    if (begin == file.npos) continue;
    file.remove_prefix(begin);
    const bool is_header = file.ends_with(".hpp");
    if (is_header && !file.ends_with("/list.hpp")) continue;
    sites.note(std::string(file), is_header ? "" : short_name(s.site.function_name()),
               s.site.line());
  }
}

template <typename Work>
void run_on_virtual_time(written_sites& sites, Work work) {
  fermata::loop_options options = fermata::testing::options_with(fermata::policy::always());
  options.measure_steps = true;
  fermata::test_loop loop(std::move(options));
  loop.run(work);
  collect(sites, loop.metrics());
}

// ---- what has checks ----

promise<> use_lists() {
  const std::vector<int> numbers{1, 2, 3};
  const auto yes = [](int) { return fermata::ready(true); };
  promise<> iterated = list::iter(std::vector<std::string>{"a", "b"},
                                  [](const std::string&) { return fermata::ready(); });
  co_await iterated;
  promise<std::vector<bool>> mapped = list::map(numbers, yes, list::at_most(2));
  co_await mapped;
  promise<std::vector<int>> filtered = list::filter(numbers, yes);
  co_await filtered;
  const auto some = [](int i) { return fermata::ready(std::optional<int>(i)); };
  filtered = list::filter_map(numbers, some);
  co_await filtered;
  const auto add = [](int sum, int i) { return fermata::ready(sum + i); };
  promise<int> folded = list::fold(numbers, 0, add);
  co_await folded;
}

promise<> read_through_a_buffer() {
  auto [a, b] = fermata::memory_stream_pair(1'000'000);
  fermata::buffered_writer writer(*a);
  promise<> written = writer.write_line("near");
  co_await written;
  written = writer.write_line("near");
  co_await written;
  const std::string long_item = "far" + std::string(300'000, 'x') + "y";
  written = writer.write(long_item);
  co_await written;
  written = writer.finish();
  co_await written;
  fermata::buffered_reader reader(*b);
  promise<std::optional<std::string>> item = reader.read_line(10);
  co_await item;
  item = reader.read_line(10);  // it is buffered
  co_await item;
  std::array<std::byte, 3> few;
  promise<std::string_view> there = reader.peek(4);
  co_await there;
  promise<std::size_t> some = reader.read_some(few);
  co_await some;
  there = reader.peek(200'000);  // what is there is moved to a larger place
  co_await there;
  item = reader.read_until("y", 400'000);
  const std::optional<std::string> far = co_await item;
  CHECK(far->size() == 300'000);
}

promise<> read_and_write(fermata::byte_stream& a, fermata::byte_stream& b) {
  std::array<std::byte, 4> place;
  promise<std::size_t> later = b.read(place);
  promise<> written = fermata::write_text(a, "more");
  co_await later;
  co_await written;
  written = fermata::write_text(a, "more");
  co_await written;
  promise<std::size_t> now = b.read(place);
  co_await now;
}

promise<> use_tcp(std::string file) {
  fermata::tcp_listener listener("127.0.0.1:0");
  promise<stream_ptr> connecting = fermata::tcp_connect("127.0.0.1", listener.port());
  const stream_ptr a = co_await std::move(connecting);
  promise<stream_ptr> accepting = listener.accept();
  const stream_ptr b = co_await std::move(accepting);
  promise<> used = read_and_write(*a, *b);
  co_await used;
  const fermata::unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  promise<> sent = fermata::send_file(*a, fd.get(), 0, 5);
  co_await sent;
}

promise<> use_unix_sockets(std::string path) {
  fermata::unix_listener listener(path);
  promise<std::unique_ptr<fermata::unix_stream>> connecting = fermata::unix_connect(path);
  const auto a = co_await std::move(connecting);
  connecting = listener.accept();
  const auto b = co_await std::move(connecting);
  promise<> used = read_and_write(*a, *b);
  co_await used;
}

promise<> use_udp() {
  fermata::udp_socket a("127.0.0.1:0");
  fermata::udp_socket b("127.0.0.1:0");
  promise<> sent = a.send_to(fermata::bytes_of("datagram"), b.address());
  co_await sent;
  std::array<std::byte, 16> place;
  promise<fermata::datagram> coming = b.receive(place);
  co_await coming;
}

promise<> watch(const place& at, fermata::file_watch& changes) {
  at.folder.write("untold", "");
  changes.remove(at.folder.path().string());
  changes.add(at.path("file"));
  at.folder.write("file", "12345");
  promise<fermata::file_change> next = changes.next();
  co_await next;
}

promise<> use_files(const place& at) {
  fermata::file_watch changes;
  changes.add(at.folder.path().string());
  promise<> watched = watch(at, changes);
  co_await watched;
  fermata::directory_walk walk(at.folder.path().string());
  promise<std::optional<fermata::directory_entry>> entry = walk.next();
  co_await entry;
  entry = walk.next();
  co_await entry;
  auto addresses = fermata::resolve("127.0.0.1", "80");
  co_await addresses;
}

// As many as one step does not see to.
promise<> end_many() {
  std::vector<fermata::resolver<>> ends;
  std::vector<promise<>> all;
  for (int i = 0; i < 3000; ++i) {
    auto made = fermata::make_promise();
    all.push_back(std::move(made.future));
    ends.push_back(std::move(made.settle));
  }
  promise<> joined = fermata::join(std::move(all));
  for (auto& end : ends) end.resolve();
  co_await joined;

  fermata::cancel_source source;
  std::vector<promise<>> waiting;
  for (int i = 0; i < 300; ++i) {
    waiting.push_back(fermata::with_cancel(source.token(), fermata::never()));
  }
  source.cancel();
  promise<std::vector<promise<>>> settled = fermata::all_settled(std::move(waiting));
  co_await settled;

  promise<> scoped = fermata::scope::run([](fermata::scope& s) {
    for (int i = 0; i < 1000; ++i) s.fork([] { return fermata::never(); });
    s.cancel();
    return fermata::ready();
  });
  promise<std::string> ended = fermata::testing::waits_for(scoped);
  const std::string how = co_await ended;
  if (how != "cancelled") throw fermata::error("the scope was cancelled: " + how);
}

// Function by function, how many there are.
constexpr const char* expected = R"(buffered_reader.cpp copy_out 1
buffered_reader.cpp make_room 1
buffered_reader.cpp next_item 1
buffered_reader.cpp read_item 1
buffered_reader.cpp take_text 1
buffered_writer.cpp write_both 1
cancel.cpp run 1
descriptor_stream.cpp read 1
descriptor_stream.cpp read_when_there 1
descriptor_stream.cpp write_all 1
directory_walk.cpp next 1
dns.cpp resolve 1
file_watch.cpp next_change 1
gather.cpp run 1
list.hpp 7
memory_stream.cpp read 1
memory_stream.cpp write_in_pieces 1
scope.cpp run 1
send_file.cpp send_steps 1
tcp.cpp accept 1
udp.cpp try_receive 1
udp.cpp try_send 1
unix_socket.cpp try_accept 1
unix_socket.cpp unix_connect 1
unix_stream.cpp send_piece 1
unix_stream.cpp try_receive 1
)";

}  // namespace

TEST_CASE("every check within the library is reached", "[promise][availability]") {
  const place at;
  at.folder.write("file", "12345");
  written_sites sites({"maybe_pause(", "due("});
  run_on_virtual_time(sites, use_lists);
  run_on_virtual_time(sites, read_through_a_buffer);
  run_on_virtual_time(sites, [&] { return use_tcp(at.path("file")); });
  run_on_virtual_time(sites, [&] { return use_unix_sockets(at.path("socket")); });
  run_on_virtual_time(sites, use_udp);
  run_on_virtual_time(sites, [&] { return use_files(at); });
  run_on_virtual_time(sites, end_many);
  CHECK(sites.text() == expected);
}
