// SPDX-License-Identifier: MIT
#include "support/pack_builder.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/protocol.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace fermata::git_mem;
using fermata::test::blob_id;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string id_text(char digit) { return std::string(40, digit); }
object_id id_of(char digit) { return *object_id::from_hex(id_text(digit)); }

pkt line(std::string_view text) { return {pkt_kind::data, text}; }
const pkt flush{pkt_kind::flush, {}};
const pkt delimiter{pkt_kind::delimiter, {}};

// All packets of a stream that comes in pieces of one size.
std::string packets(const std::string& stream, std::size_t piece) {
  pkt_reader reader;
  std::string out;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    reader.feed(bytes_of(std::string_view(stream).substr(at, piece)));
    while (const std::optional<pkt> p = reader.next()) {
      const char* names[] = {"data:", "flush", "delim", "end"};
      out += names[static_cast<int>(p->kind)];
      out += std::string(p->line()) + ";";
    }
  }
  reader.finish_input();
  return out;
}

advertisement advertised(const std::vector<std::string>& lines) {
  advertisement_reader reader;
  for (const std::string& l : lines) CHECK_FALSE(reader.push(line(l)));
  CHECK(reader.push(flush));
  return reader.result();
}

std::string refused_line(const std::string& text) {
  advertisement_reader reader;
  try {
    static_cast<void>(reader.push(line(text)));
  } catch (const failure& f) {
    return f.what();
  }
  return "";
}

}  // namespace

TEST_CASE("pkt_reader splits a stream however it is cut", "[git_mem][pkt_line]") {
  const std::string stream =
      "0009hello"
      "0000"
      "0006a\n"
      "0001"
      "0004"
      "0002"
      "000Ab\n\ncde";
  for (std::size_t piece = 1; piece < 40; ++piece) {
    CHECK(packets(stream, piece) == "data:hello;flush;data:a;delim;data:;end;data:b\n\ncde;");
  }
}

TEST_CASE("pkt_reader names the byte of a bad length", "[git_mem][pkt_line]") {
  CHECK_THROWS_WITH(packets("0000zz00", 3), "protocol byte 4: \"zz00\" is no packet length");
  CHECK_THROWS_WITH(packets("0003", 4), "protocol byte 0: packet length 3");
  CHECK_THROWS_WITH(packets("fff1", 4), "protocol byte 0: packet length 65521");
  CHECK_THROWS_WITH(packets("0009he", 4), "protocol byte 6: the connection ended inside a packet");
  CHECK_THROWS_WITH(packets("HTTP/1.1 400", 99), "protocol byte 0: \"HTTP\" is no packet length");
}

TEST_CASE("pkt_reader takes the largest packet and append_pkt no larger one",
          "[git_mem][pkt_line]") {
  std::string out;
  append_pkt(out, std::string(65516, 'x'));
  CHECK(out.substr(0, 4) == "fff0");
  CHECK(packets(out, 1000).size() == 65516 + 6);
  CHECK_THROWS_AS(append_pkt(out, std::string(65517, 'x')), fermata::contract_error);
}

TEST_CASE("printable drops control characters and cuts", "[git_mem][pkt_line]") {
  CHECK(printable("a\x1b[31mb\r\nc\x7f\n") == "a?[31mb  c?");
  CHECK(printable("\xc2\x9b"
                  "31m \xc3\xa9") == "?31m \xc3\xa9");
  CHECK(printable(std::string(500, 'x')).size() == 300);
}

TEST_CASE("an advertisement of version 2 is its capabilities", "[git_mem][protocol]") {
  const advertisement a = advertised({"version 2\n", "agent=git/2.39\n", "ls-refs=unborn\n",
                                      "fetch=shallow wait-for-done\n", "object-format=sha1\n"});
  CHECK(a.version == 2);
  CHECK(a.can.has("agent"));
  CHECK(a.can.offers("fetch", "shallow"));
  CHECK_FALSE(a.can.offers("fetch", "shall"));
  CHECK_FALSE(a.can.has("age"));
}

TEST_CASE("an advertisement of version 0 has refs, the target of HEAD and shallow commits",
          "[git_mem][protocol]") {
  const std::string caps = std::string(1, '\0') + "side-band-64k shallow symref=HEAD:refs/heads/x";
  const advertisement a =
      advertised({id_text('1') + " HEAD" + caps, id_text('1') + " refs/heads/x\n",
                  id_text('2') + " refs/tags/t", id_text('3') + " refs/tags/t^{}",
                  "shallow " + id_text('5'), "shallow " + id_text('4'), "shallow " + id_text('5')});
  CHECK(a.version == 0);
  REQUIRE(a.refs.size() == 3);
  CHECK(a.refs[0].symbolic_target == "refs/heads/x");
  CHECK(a.refs[2].id == id_of('2'));
  CHECK(a.shallow == std::vector<object_id>{id_of('5'), id_of('4'), id_of('5')});
}

TEST_CASE("version 1 is version 0 with a line in front", "[git_mem][protocol]") {
  const advertisement a =
      advertised({"version 1", id_text('1') + " refs/heads/x" + std::string(1, '\0') + "caps"});
  CHECK(a.version == 1);
  CHECK(a.refs.size() == 1);
  CHECK(refused_line("version 20") == "unexpected line \"version 20\"");
}

TEST_CASE("the target of HEAD is guessed where it is not said, master or main first",
          "[git_mem][protocol]") {
  const advertisement a = advertised(
      {id_text('1') + " HEAD" + std::string(1, '\0') + "x", id_text('1') + " refs/heads/a",
       id_text('1') + " refs/heads/main", id_text('2') + " refs/heads/master"});
  CHECK(a.refs[0].symbolic_target == "refs/heads/main");
}

TEST_CASE("an empty repository advertises no refs", "[git_mem][protocol]") {
  CHECK(advertised({id_text('0') + " capabilities^{}" + std::string(1, '\0') + "shallow"})
            .refs.empty());
  CHECK(advertised({}).refs.empty());
}

TEST_CASE("hostile advertisements are refused", "[git_mem][protocol]") {
  CHECK(refused_line("ERR access denied\x1b[0m\n") == "the server says: access denied?[0m");
  CHECK(refused_line(id_text('1') + " refs/heads/../x") ==
        "unexpected line \"" + id_text('1') + " refs/heads/../x\"");
  CHECK(refused_line("<html>") == "unexpected line \"<html>\"");
  CHECK(refused_line(id_text('g') + " refs/heads/x") != "");
  CHECK(refused_line(id_text('1') + " refs/heads/a b") != "");
  protocol_limits few;
  few.refs = 1;
  advertisement_reader reader(few);
  CHECK_FALSE(reader.push(line(id_text('1') + " refs/heads/a")));
  CHECK_THROWS_WITH(reader.push(line(id_text('1') + " refs/heads/b")), "too many refs");
  advertisement_reader sha256;
  CHECK_FALSE(sha256.push(line("version 2")));
  CHECK_FALSE(sha256.push(line("object-format=sha256")));
  CHECK_THROWS_WITH(sha256.push(flush), "the repository uses sha256 names, only sha1 is supported");
}

TEST_CASE("ref names follow git check-ref-format", "[git_mem][protocol]") {
  for (const char* good :
       {"HEAD", "refs/heads/a", "refs/tags/1.0", "refs/heads/\xc3\xa9", "refs/x/a@b"}) {
    CHECK(is_ref_name(good));
  }
  for (const char* bad : {"",           "a",           "refs/",         "refs/a//b",
                          "refs/.a",    "refs/a.lock", "refs/a.lock/b", "refs/a.",
                          "refs/a..b",  "refs/a~1",    "refs/a^",       "refs/a:b",
                          "refs/a?",    "refs/a*",     "refs/a[",       "refs/a\\b",
                          "refs/a@{1}", "refs/a\x7f",  "refs/a\tb",     "refs/a/"}) {
    INFO(bad);
    CHECK_FALSE(is_ref_name(bad));
  }
  const std::string longest = "refs/" + std::string(longest_ref_name - 5, 'a');
  CHECK(is_ref_name(longest));
  CHECK_FALSE(is_ref_name(longest + "a"));
}

TEST_CASE("ls-refs asks for prefixes and filters the answer again", "[git_mem][protocol]") {
  capabilities can;
  can.add("ls-refs=unborn");
  can.add("agent=x");
  const std::string request = ls_refs_request(can, {"HEAD", "refs/heads/"});
  CHECK(packets(request, 7) ==
        "data:command=ls-refs;data:agent=fermata/0.1;delim;data:symrefs;data:unborn;"
        "data:ref-prefix HEAD;data:ref-prefix refs/heads/;flush;");
  ls_refs_reader reader({"HEAD", "refs/heads/"});
  CHECK_FALSE(reader.push(line(id_text('1') + " HEAD symref-target:refs/heads/x\n")));
  CHECK_FALSE(reader.push(line(id_text('1') + " refs/heads/x\n")));
  CHECK_FALSE(reader.push(line(id_text('2') + " refs/tags/t peeled:" + id_text('3'))));
  CHECK(reader.push(flush));
  REQUIRE(reader.refs().size() == 2);
  CHECK(reader.refs()[0].symbolic_target == "refs/heads/x");
  ls_refs_reader empty;
  CHECK_FALSE(empty.push(line("unborn HEAD symref-target:refs/heads/main")));
  CHECK(empty.push(flush));
  CHECK(empty.unborn_head() == "refs/heads/main");
  CHECK_THROWS_AS(empty.push(line("unborn HEAD symref-target:refs/heads/main")), failure);
  ls_refs_reader hostile;
  CHECK_THROWS_WITH(hostile.push(line(id_text('1') + " ../../etc")),
                    Catch::StartsWith("unexpected line"));
}

TEST_CASE("a fetch of many ids is written in parts", "[git_mem][protocol]") {
  advertisement from;
  from.version = GENERATE(0, 2);
  from.can.add("fetch=shallow");
  from.can.add_all("side-band-64k shallow");
  fetch_request request;
  for (int i = 0; i < 200; ++i) request.wants.push_back(blob_id("w" + std::to_string(i)));
  for (int i = 0; i < 300; ++i) request.shallow.push_back(blob_id("s" + std::to_string(i)));
  for (int i = 0; i < 400; ++i) request.haves.push_back(blob_id("h" + std::to_string(i)));
  fetch_writer lines(from, request);
  std::string all;
  for (bool more = true; more;) {
    const std::size_t before = all.size();
    more = lines.write(all);
    CHECK(all.size() - before < 5000);
  }
  CHECK(all == write_fetch(from, request));
  const std::string said = packets(all, 5000);
  for (const auto& [key, ids] :
       {std::pair("want ", request.wants), std::pair("shallow ", request.shallow),
        std::pair("have ", request.haves)}) {
    std::size_t at = 0;
    for (const object_id& id : ids) {  // in this order
      at = said.find("data:" + std::string(key) + id.hex(), at);
      REQUIRE(at != std::string::npos);
    }
  }
}

TEST_CASE("a fetch is written for version 2 and for version 0", "[git_mem][protocol]") {
  advertisement v2;
  v2.version = 2;
  v2.can.add("fetch=shallow");
  fetch_request request;
  request.wants = {id_of('1')};
  request.depth = 1;
  CHECK(packets(write_fetch(v2, request), 9) ==
        "data:command=fetch;delim;data:thin-pack;data:ofs-delta;data:deepen 1;data:want " +
            id_text('1') + ";data:done;flush;");
  request.haves = request.shallow = {id_of('2')};
  request.thin_pack = false;
  CHECK(packets(write_fetch(v2, request), 9) ==
        "data:command=fetch;delim;data:ofs-delta;data:shallow " + id_text('2') +
            ";data:deepen 1;data:want " + id_text('1') + ";data:have " + id_text('2') +
            ";data:done;flush;");
  advertisement v0;
  v0.can.add_all("side-band-64k shallow ofs-delta thin-pack");
  request.wants.push_back(id_of('3'));
  CHECK(packets(write_fetch(v0, request), 9) ==
        "data:want " + id_text('1') + " side-band-64k ofs-delta;data:want " + id_text('3') +
            ";data:shallow " + id_text('2') + ";data:deepen 1;flush;data:have " + id_text('2') +
            ";data:done;");
  advertisement old;
  CHECK_THROWS_WITH(write_fetch(old, request), "the server is too old (no side-band-64k)");
}

TEST_CASE("the answer of version 2 is read section by section", "[git_mem][protocol]") {
  fetch_reader r(2, true);
  using kind = fetch_reader::event::kind;
  static_cast<void>(r.push(line("acknowledgments\n")));
  static_cast<void>(r.push(line("NAK\n")));
  static_cast<void>(r.push(line("ACK " + id_text('1') + "\n")));
  static_cast<void>(r.push(line("ready\n")));
  static_cast<void>(r.push(delimiter));
  static_cast<void>(r.push(line("shallow-info\n")));
  for (const char c : {'3', '2', '3', '3'}) {
    static_cast<void>(r.push(line("shallow " + id_text(c) + "\n")));
  }
  static_cast<void>(r.push(line("unshallow " + id_text('4') + "\n")));
  static_cast<void>(r.push(delimiter));
  static_cast<void>(r.push(line("packfile\n")));
  CHECK(r.in_pack());
  CHECK(r.shallow() == std::vector<object_id>{id_of('3'), id_of('2'), id_of('3'), id_of('3')});
  CHECK(r.unshallow() == std::vector<object_id>{id_of('4')});
  CHECK(r.common() == std::vector<object_id>{id_of('1')});
  CHECK(r.ready());
  const auto pack = r.push(line("\x01PACK\n"));
  CHECK(pack.what == kind::pack);
  CHECK(pack.data == "PACK\n");
  CHECK(r.push(line("")).what == kind::none);
  CHECK(r.push(line("\x01")).data.empty());
  const auto progress =
      r.push(line("\x02"
                  "Counting\x1b[K: 5\r"));
  CHECK(progress.what == kind::progress);
  CHECK(progress.data == "Counting?[K: 5");
  CHECK(r.pack_bytes() == 5);
  CHECK_THROWS_WITH(r.finish_input(),
                    "the server hung up after 5 bytes of the pack (it said: Counting?[K: 5)");
  CHECK(r.push(flush).what == kind::done);
  CHECK_NOTHROW(r.finish_input());
  CHECK_THROWS_AS(r.push(line("x")), failure);
}

TEST_CASE("the answer of version 0 has shallow lines, NAK and then the bands",
          "[git_mem][protocol]") {
  fetch_reader r(0, true);
  static_cast<void>(r.push(line("shallow " + id_text('1'))));
  static_cast<void>(r.push(flush));
  static_cast<void>(r.push(line("ACK " + id_text('2') + " common")));
  static_cast<void>(r.push(line("NAK\n")));
  CHECK(r.push(line("\x01PACK")).data == "PACK");
  CHECK(r.push(flush).what == fetch_reader::event::kind::done);
  CHECK(r.shallow().size() == 1);
}

TEST_CASE("acknowledgments are limited in number", "[git_mem][protocol]") {
  protocol_limits few;
  few.acknowledgments = 2;
  for (const int version : {0, 2}) {
    fetch_reader r(version, false, few);
    if (version == 2) static_cast<void>(r.push(line("acknowledgments\n")));
    const std::string one = "ACK " + id_text('1') + (version == 0 ? " common" : "");
    for (int i = 0; i < 2; ++i) static_cast<void>(r.push(line(one)));
    CHECK_THROWS_WITH(r.push(line(one)), "too many acknowledgments");
  }
}

TEST_CASE("hostile answers to a fetch are refused", "[git_mem][protocol]") {
  const auto refused = [](int version, const std::vector<pkt>& all) {
    fetch_reader r(version, false);
    try {
      for (const pkt& p : all) static_cast<void>(r.push(p));
    } catch (const failure& f) {
      return std::string(f.what());
    }
    return std::string();
  };
  const pkt packfile = line("packfile");
  CHECK(refused(2, {line("ERR upload-pack: not our ref")}) ==
        "the server says: upload-pack: not our ref");
  CHECK(refused(2, {packfile, line("\x03"
                                   "out of memory\n")}) == "the server says: out of memory");
  CHECK(refused(2, {packfile, line("\x07x")}) == "band 7 of the pack's stream");
  CHECK(refused(2, {line("surprise")}) == "unexpected line \"surprise\"");
  CHECK(refused(2, {line("packfile-uris")}) == "unexpected line \"packfile-uris\"");
  CHECK(refused(2, {delimiter}) == "unexpected delimiter");
  CHECK(refused(2, {packfile, delimiter}) == "unexpected delimiter");
  CHECK(refused(2, {line("acknowledgments"), line("ACK x")}) == "unexpected line \"ACK x\"");
  CHECK(refused(2, {line("shallow-info"), line("deep")}) == "unexpected line \"deep\"");
  CHECK(refused(0, {line("ACK " + id_text('1') + " maybe")}) ==
        "unexpected line \"ACK " + id_text('1') + " maybe\"");
  CHECK(refused(0, {flush}) == "unexpected flush");
  CHECK(refused(0, {line("hello")}) == "band 104 of the pack's stream");
  fetch_reader nothing(2, false);
  CHECK_THROWS_WITH(nothing.finish_input(), "the server hung up before the pack");
}
