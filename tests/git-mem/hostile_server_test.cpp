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

namespace {

// A server that has all of a repository but one object, and does not say so.
class forgetful {
public:
  explicit forgetful(std::string history) {
    repo_.run("git init -q -b main . && " + std::move(history));
    repo_.run("git rev-list --objects --all | cut -d' ' -f1 > all");
  }
  std::string rev(const std::string& name) {
    return repo_.output("git rev-parse '" + name + "'").substr(0, 40);
  }
  // What a clone says where `left_out` is missing. `how` may have more sections of the answer.
  std::string clone_without(const std::string& left_out,
                            clone_options how,
                            const std::vector<std::string>& sections = {}) {
    repo_.run("grep -v " + left_out + " all | git pack-objects -q --stdout > pack");
    std::string answer = packets({"version 2\n", "ls-refs\n", "fetch=shallow filter\n", "0000",
                                  rev("HEAD") + " HEAD symref-target:refs/heads/main\n",
                                  rev("t") + " refs/tags/t\n", "0000"});
    answer += packets(sections) + packets({"packfile\n"});
    const std::string pack = repo_.output("cat pack");
    for (std::size_t at = 0; at < pack.size(); at += 60'000) {
      answer += packets({"\1" + pack.substr(at, 60'000)});
    }
    return clone_with(answer + "0000", std::move(how));
  }

private:
  std::string clone_with(const std::string& answer, clone_options how) {
    repo_.write("answer", answer);
    const std::string path = (repo_.path() / "answer").string();
    ::setenv("GIT_SSH_COMMAND", ("cat '" + path + "'; exec cat >/dev/null; :").c_str(), 1);
    fermata::event_loop loop(fermata::testing::options_of_run());
    std::string text = "no error";
    try {
      loop.run([&] { return clone("h:r", how); });
    } catch (const failure& f) {
      CHECK(f.why() == reason::corrupt);
      text = f.what();
    }
    ::unsetenv("GIT_SSH_COMMAND");
    const std::string place = "cannot clone h:r: ";
    return text.starts_with(place) ? text.substr(place.size()) : text;
  }

  temp_folder repo_;
};

clone_options all_history() {
  clone_options how;
  how.depth = 0;
  how.also = {"refs/tags/"};
  return how;
}

}  // namespace

TEST_CASE("a clone is refused where the server left out an object", "[git_mem][hostile_server]") {
  forgetful server(
      "mkdir a && echo 1 >a/f && echo 2 >g && git add a g && git commit -qm 1 && "
      "echo 3 >a/f && git commit -qam 2 && echo 4 >a/f && git commit -qam 3 && git tag -am t t");
  clone_options how = all_history();
  for (const std::size_t threads : {0, 2}) {
    how.threads = threads;
    const auto without = [&](const std::string& name) {
      return server.clone_without(server.rev(name), how);
    };
    CHECK(server.clone_without("none", how) == "no error");
    CHECK(without("main") == "pack: the tip " + server.rev("main") + " is not in it");
    CHECK(without("main~1") == "commit " + server.rev("main") + ": its parent " +
                                   server.rev("main~1") + " did not come");
    CHECK(without("main:a/f") ==
          "path \"a/f\": object " + server.rev("main:a/f") + " did not come");
    CHECK(without("main:a") ==
          "directory \"a/\": object " + server.rev("main:a") + ": not in the store");
    CHECK(without("main^{tree}") == "object " + server.rev("main^{tree}") + ": not in the store");
    CHECK(without("main~1:a/f") ==
          "object " + server.rev("main~1:a/f") + ", which a tree names, did not come");
    const std::string cut = server.rev("main");
    CHECK(server.clone_without(server.rev("main~1"), how,
                               {"shallow-info\n", "shallow " + cut + "\n", "0001"}) == "no error");
  }
  how.filter = "blob:none";
  CHECK(server.clone_without(server.rev("main:a/f"), how) == "no error");
  CHECK(server.clone_without(server.rev("main:a"), how) ==
        "directory \"a/\": object " + server.rev("main:a") + ": not in the store");
  how.filter = "tree:0";
  CHECK(server.clone_without(server.rev("main:a"), how) == "no error");
  CHECK_THAT(server.clone_without(server.rev("main~1"), how), Catch::EndsWith("did not come"));
}

TEST_CASE("what a commit or tag names is looked for, however large it is",
          "[git_mem][hostile_server]") {
  forgetful server(
      "git commit -q --allow-empty -m 1 && seq 1000000 >.git/long && "
      "git commit -q --allow-empty --cleanup=verbatim -F .git/long && "
      "git tag -a --cleanup=verbatim -F .git/long t $(git commit-tree -m side HEAD^{tree})");
  clone_options how = all_history();
  for (const std::size_t threads : {0, 2}) {
    how.threads = threads;
    CHECK(server.clone_without("none", how) == "no error");
    CHECK(server.clone_without(server.rev("main~1"), how) ==
          "commit " + server.rev("main") + ": its parent " + server.rev("main~1") +
              " did not come");
    CHECK(server.clone_without(server.rev("t^{}"), how) ==
          "tag " + server.rev("t") + ": its object " + server.rev("t^{}") + " did not come");
  }
}

TEST_CASE("of a pack with very many tree entries the tip's are looked for",
          "[git_mem][hostile_server]") {
  // 100 commits, of a tree of 800 entries each.
  forgetful server(
      "{ for i in $(seq 0 99); do echo 'commit refs/heads/main'; "
      "echo \"committer a <a@b> $((1700000000 + i)) +0000\"; echo 'data 0'; "
      "for k in $(seq 800); do [ $i != 0 ] && [ $k -gt 1 ] || "
      "printf 'M 644 inline f%s\\ndata 9\\n%04d %03d\\n' $k $k $i; done; done; } | "
      "git fast-import --quiet && git tag -am t t");
  const clone_options how = all_history();
  CHECK(server.clone_without("none", how) == "no error");
  CHECK(server.clone_without(server.rev("main:f1"), how) ==
        "path \"f1\": object " + server.rev("main:f1") + " did not come");
  CHECK(server.clone_without(server.rev("main^{tree}"), how) ==
        "object " + server.rev("main^{tree}") + ": not in the store");
}

TEST_CASE("a fetch ends advertisements that do not end", "[git_mem][hostile_server]") {
  clone_options options;
  options.protocol.refs = 100;
  options.protocol.advertisement_bytes = 20'000;
  options.protocol.capability_bytes = 10'000;
  options.protocol.progress_bytes = 1000;
  hostile h(options);
  std::string refs, caps = packets({"version 2\n"}), said;
  for (int i = 0; i < 200; ++i) {
    refs += packets({id + " refs/heads/b" + std::to_string(i) + "\n"});
    caps += packets({std::string(200, 'c') + std::to_string(i) + "\n"});
    said += packets({"\x02still counting\n"});
  }
  CHECK(h.error_of(hello + refs) == "too many refs");
  CHECK(h.error_of(caps) == "capabilities of more than 10000 bytes");
  std::string empty = packets({"version 2\n"});
  for (int i = 0; i < 3000; ++i) empty += "0004";
  CHECK(h.error_of(empty) == "capabilities of more than 10000 bytes");
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
