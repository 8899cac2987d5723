// SPDX-License-Identifier: MIT
// Fetches from servers that say what no server says. The "server" is what GIT_SSH_COMMAND runs: it
// prints an answer that was made beforehand. Each ends in one error, and the store is as before.

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/git_mem/fetch.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/push.hpp>
#include <fermata/loop/event_loop.hpp>
#include <fermata/promise/test_loop.hpp>

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

std::string packets(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) {
    if (line == "0000" || line == "0001" || line == "0002") {
      out += line;
    } else {
      append_pkt(out, line);
    }
  }
  return out;
}

const std::string id = std::string(39, '0') + "1";
const std::string hello = packets({"version 2\n", "ls-refs\n", "fetch=shallow\n", "0000"});

std::string listing(const std::string& line) { return hello + packets({line, "0000"}); }

std::string answering(const std::vector<std::string>& lines) {
  return listing(id + " HEAD symref-target:refs/heads/main\n") + packets(lines);
}

class hostile {
public:
  explicit hostile(clone_options o = {}) : options_(std::move(o)) {
    repo_.run("git init -q -b main r && cd r && echo x > f && git add f && git commit -qm 1");
    loop_.run([&] { return fetch(store_, (repo_.path() / "r").string()); });
    before_ = store_.current();
  }
  // What a fetch says that is answered so; also that the store is as before.
  std::string error_of(const std::string& answer) {
    serve(answer);
    return failure_of([this] { return fetch(store_, "h:r", options_); });
  }
  std::string push_error_of(const std::string& answer) {
    serve(answer);
    const std::vector<push_command> what = {
        push_command("refs/heads/main", before_->find_ref("HEAD")->id)};
    return failure_of([&] { return push(before_, "h:r", what); });
  }

  // What they say to a server that never speaks: it keeps its standard output open.
  std::string silence() {
    ::setenv("GIT_SSH_COMMAND", "exec 3>&1; exec cat >/dev/null; :", 1);
    return failure_of([this] { return fetch(store_, "h:r", options_); });
  }
  std::string push_silence() {
    ::setenv("GIT_SSH_COMMAND", "exec 3>&1; exec cat >/dev/null; :", 1);
    const std::vector<push_command> what = {
        push_command("refs/heads/main", before_->find_ref("HEAD")->id)};
    push_options how;
    how.connection = options_;
    return failure_of([&] { return push(before_, "h:r", what, how); });
  }

private:
  void serve(const std::string& answer) {
    repo_.write("answer", answer);
    const std::string path = (repo_.path() / "answer").string();
    // What the client says is read to its end, so that no write of it fails.
    ::setenv("GIT_SSH_COMMAND", ("cat '" + path + "'; exec cat >/dev/null; :").c_str(), 1);
  }
  template <typename Start>
  std::string failure_of(Start start) {
    std::string text = "no error";
    try {
      static_cast<void>(loop_.run(start));
    } catch (const fermata::error& e) {
      text = e.what();
    }
    ::unsetenv("GIT_SSH_COMMAND");
    CHECK(store_.current() == before_);
    const std::string place = "cannot fetch h:r: ";
    return text.starts_with(place) ? text.substr(place.size()) : text;
  }

  clone_options options_;
  temp_folder repo_;
  fermata::event_loop loop_{fermata::testing::options_of_run()};
  object_store store_;
  snapshot_ptr before_;
};

}  // namespace

TEST_CASE("a fetch refuses packets of every wrong kind", "[git_mem][hostile_server]") {
  hostile h;
  CHECK(h.error_of("zzzz") == "protocol byte 0: \"zzzz\" is no packet length");
  CHECK(h.error_of("0003") == "protocol byte 0: packet length 3");
  CHECK(h.error_of("fff1") == "protocol byte 0: packet length 65521");
  CHECK(h.error_of("0001") == "advertisement: unexpected packet");
  CHECK(h.error_of("0002") == "advertisement: unexpected packet");
  CHECK(h.error_of(packets({"ERR go\x1b[31m away\n"})) == "the server says: go?[31m away");
  CHECK(h.error_of(packets({"version 3\n"})) == "unexpected line \"version 3\"");
  CHECK(h.error_of(hello + "0001") == "ls-refs: unexpected packet");
  CHECK(h.error_of(hello + packets({"ERR no refs\n"})) == "the server says: no refs");
  CHECK(h.error_of(answering({"0001"})) == "unexpected delimiter");
  CHECK(h.error_of(answering({"shallow " + id})) == "unexpected line \"shallow " + id + "\"");
  CHECK(h.error_of(answering({"packfile-uris\n"})) == "unexpected line \"packfile-uris\"");
  CHECK(h.error_of(answering({"shallow-info\n", "shallow x\n"})) ==
        "unexpected line \"shallow x\"");
  CHECK(h.error_of(answering({"acknowledgments\n", "ACK x\n"})) == "unexpected line \"ACK x\"");
}

TEST_CASE("a fetch refuses bands that no server sends", "[git_mem][hostile_server]") {
  hostile h;
  CHECK(h.error_of(answering({"packfile\n", "\x03out of memory\n"})) ==
        "the server says: out of memory");
  CHECK(h.error_of(answering({"packfile\n", "\x04x"})) == "band 4 of the pack's stream");
  CHECK(h.error_of(answering({"packfile\n", "\x01PACK", "0001"})) == "unexpected delimiter");
  CHECK(h.error_of(answering({"packfile\n", "\x01KCAP1234567", "0000"})) ==
        "pack byte 0: this is no pack");
  CHECK(h.error_of(answering({"packfile\n", "0000"})) ==
        "pack byte 0: pack ends early, in its header");
}

TEST_CASE("a fetch refuses refs that would do harm", "[git_mem][hostile_server]") {
  hostile h;
  for (const std::string name : {"refs/heads/../x", "/etc/passwd", "refs/heads/x.lock",
                                 "refs/heads/\x01", "refs//heads", "../HEAD", "refs/heads/-\x7f"}) {
    INFO(name);
    CHECK_THAT(h.error_of(listing(id + " " + name + "\n")),
               Catch::StartsWith("unexpected line \""));
  }
  CHECK_THAT(h.error_of(listing(id + " HEAD symref-target:../../x\n")),
             Catch::StartsWith("unexpected line \""));
  CHECK_THAT(h.error_of(listing("12 HEAD\n")), Catch::StartsWith("unexpected line \""));
  CHECK(h.error_of(
            packets({"version 2\n", "ls-refs\n", "fetch\n", "object-format=sha256\n", "0000"})) ==
        "the repository uses sha256 names, only sha1 is supported");
  CHECK(h.error_of(packets({"version 2\n", "ls-refs\n", "0000", id + " HEAD\n", "0000"})) ==
        "the server cannot fetch");
  CHECK(h.error_of(packets({"version 2\n", "fetch\n", "0000"})) ==
        "the server cannot list its refs");
}

TEST_CASE("a fetch ends advertisements that do not end", "[git_mem][hostile_server]") {
  clone_options options;
  options.protocol.refs = 100;
  options.protocol.advertisement_bytes = 20'000;
  options.protocol.progress_bytes = 1000;
  hostile h(options);
  std::string refs, caps = packets({"version 2\n"}), said;
  for (int i = 0; i < 200; ++i) {
    refs += packets({id + " refs/heads/b" + std::to_string(i) + "\n"});
    caps += packets({std::string(200, 'c') + std::to_string(i) + "\n"});
    said += packets({"\x02still counting\n"});
  }
  CHECK(h.error_of(hello + refs) == "too many refs");
  CHECK(h.error_of(caps) == "advertisement of more than 20000 bytes");
  CHECK(h.error_of(answering({"packfile\n"}) + said) == "the server sends too much progress");
}

TEST_CASE("a fetch and a push give up on a server that takes the connection and says nothing",
          "[git_mem][hostile_server]") {
  fermata::test_loop loop(fermata::testing::options_of_run());
  auto streams = fermata::memory_stream_pair();
  clone_options options;
  options.first_byte_timeout = std::chrono::seconds(9);
  std::string text;
  std::chrono::nanoseconds took{};
  loop.run([&]() -> promise<> {
    const auto began = fermata::event_loop::current().now();
    promise<clone_result> cloning = clone_over(*streams.first, remote_url::parse("/r"), options);
    try {
      co_await std::move(cloning);
    } catch (const failure& f) {
      text = f.what();
    }
    took = fermata::event_loop::current().now() - began;
  });
  CHECK(text == "cannot clone /r: the server said nothing at all for 9 s");
  CHECK(took >= std::chrono::seconds(9));
  CHECK(took < std::chrono::seconds(10));

  options.first_byte_timeout = std::chrono::milliseconds(1);
  hostile h(options);
  CHECK(h.silence() == "the server said nothing at all for 1 ms");
  CHECK(h.push_silence() == "cannot push to h:r: the server said nothing at all for 1 ms");
}

TEST_CASE("a server that hangs up may not have the filter that it was asked for",
          "[git_mem][hostile_server]") {
  clone_options options;
  options.filter = "object:type=commit";
  hostile h(options);
  const std::string able = packets({"version 2\n", "ls-refs\n", "fetch=shallow filter\n", "0000"});
  CHECK_THAT(h.error_of(able + packets({id + " HEAD\n", "0000"})),
             Catch::StartsWith("the server hung up before the pack; it may not "
                               "have the filter object:type=commit"));
  CHECK_THAT(h.error_of(able + packets({id + " HEAD\n", "0000", "packfile\n", "\1PACK"})),
             Catch::StartsWith("the server hung up after 4 bytes of the pack"));
}

TEST_CASE("a push refuses reports that no server sends", "[git_mem][hostile_server]") {
  hostile h;
  const std::string place = "cannot push to h:r: ";
  const auto there = [](const std::string& words) {
    return packets(
        {std::string(40, '0') + " capabilities^{}" + std::string(1, '\0') + words, "0000"});
  };
  CHECK(h.push_error_of(there("agent=x")) == place + "the server is too old (no report-status)");
  const std::string plain = there("report-status");
  CHECK(h.push_error_of(plain + packets({"unpack index-pack failed\n"})) ==
        place + "the server cannot take the pack: index-pack failed");
  CHECK(h.push_error_of(plain + packets({"unpack ok\n", "ng refs/heads/main\n"})) ==
        place + "unexpected line \"ng refs/heads/main\"");
  CHECK(h.push_error_of(plain + "0000") == place + "the server reports nothing");
  CHECK(h.push_error_of(plain + packets({"hello\n"})) == place + "unexpected line \"hello\"");
  CHECK(h.push_error_of(plain + packets({"unpack ok\n", "ok refs/heads/main\n", "0000"})) ==
        "no error");
  const std::string banded = there("report-status side-band-64k");
  CHECK(h.push_error_of(banded + packets({"\x03no room\n"})) == place + "the server says: no room");
  CHECK(h.push_error_of(banded + packets({"\x07x"})) == place + "an unknown band of the report");
  CHECK(h.push_error_of(banded + "0000") == place + "the server ends before its report does");
  CHECK(h.push_error_of(packets({"version 2\n", "0000"})) ==
        place + "the server speaks version 2, in which nothing is pushed");
}
