// SPDX-License-Identifier: MIT
// What a client may send to upload_pack. Byte 0 chooses version and part of the conversation; `@`
// in the rest stands for the name of a commit that is there.

#include "replay.hpp"
#include "support/pack_builder.hpp"

#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/upload_pack.hpp>
#include <fermata/promise/stream.hpp>
#include <fermata/promise/test_loop.hpp>

#include <cstdlib>

using namespace fermata::git_mem;
using namespace fermata::test;
using fermata::promise;

namespace {

constexpr const char* first_commit =
    "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
    "author a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nm";

std::string name_of(const snapshot& s) { return s.find_ref("HEAD")->id.hex(); }

snapshot_ptr make_store() {
  pack_builder b;
  b.object(pack_builder::tree, "");
  b.object(pack_builder::commit, first_commit);
  const object_id first = name_object(object_type::commit, as_bytes(first_commit));
  const std::string second = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent " +
                             first.hex() + "\nauthor a <a> 2 +0000\ncommitter a <a> 2 +0000\n\nm";
  b.object(pack_builder::commit, second);
  const object_id tip = name_object(object_type::commit, as_bytes(second));
  const std::string tag = "object " + tip.hex() + "\ntype commit\ntag t\n\nm";
  b.object(pack_builder::tag, tag);
  auto s = std::make_shared<snapshot>();
  s->packs.push_back(analyse(b.finish()).pack);
  s->refs = {{"HEAD", tip, "refs/heads/main"},
             {"refs/heads/main", tip, {}},
             {"refs/tags/t", name_object(object_type::tag, as_bytes(tag)), {}}};
  return s;
}

promise<> serve(snapshot_ptr from, fermata::byte_stream& stream, upload_pack_options options) {
  promise<upload_report> served = upload_pack(std::move(from), stream, std::move(options));
  try {
    co_await served;
  } catch (const fermata::error&) {
  }
  co_await stream.shutdown();
}

promise<> converse(snapshot_ptr from, std::string said, upload_pack_options options) {
  auto streams = fermata::memory_stream_pair(16 * 1024);  // filled with zeros for each run
  promise<> served = serve(std::move(from), *streams.second, std::move(options));
  promise<> written = write_text(*streams.first, std::move(said));
  try {
    co_await written;
    co_await streams.first->shutdown();
  } catch (const fermata::error&) {  // it has been refused already
  }
  promise<std::string> reading = read_to_end(*streams.first, 1 << 20);
  static_cast<void>(co_await std::move(reading));
  co_await served;
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  const auto packets = [](char how, std::initializer_list<std::string> lines) {
    std::string out(1, how);
    for (std::string l : lines) {
      const std::size_t at = l.find('@');
      if (at != std::string::npos) l.replace(at, 1, name_of(*make_store()));
      if (l == "0000" || l == "0001") {
        out += l;
      } else {
        append_pkt(out, l);
      }
    }
    return out;
  };
  return {
      packets(5, {"command=ls-refs", "agent=x", "0001", "peel", "symrefs", "unborn",
                  "ref-prefix refs/", "0000"}),
      packets(5, {"command=fetch", "0001", "want @", "thin-pack", "ofs-delta", "include-tag",
                  "no-progress", "done", "0000"}),
      packets(5, {"command=fetch", "0001", "want @", "shallow @", "deepen 1",
                  "filter blob:limit=1k", "have @", "wait-for-done", "0000"}),
      packets(5, {"command=fetch", "0001", "want @", "deepen-since 1", "deepen-not t",
                  "deepen-relative", "done", "0000"}),
      packets(3, {"want @ multi_ack_detailed side-band-64k ofs-delta no-done", "deepen 1", "0000",
                  "have @", "0000", "done"}),
      packets(3, {"want @ multi_ack side-band", "filter tree:0", "0000", "have @", "done"}),
      packets(0, {"want @", "0000", "done"}),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const snapshot_ptr store = make_store();
  if (size < 1) return 0;
  upload_pack_options options;
  options.version = data[0] / 2 % 3;
  options.part = data[0] % 2 == 0 ? upload_part::whole : upload_part::request;
  options.limits.ids = 100;
  options.limits.prefixes = 100;
  options.limits.request_bytes = 1 << 16;
  fermata::test_loop loop;
  loop.run([&] {
    return converse(store, std::string(reinterpret_cast<const char*>(data) + 1, size - 1), options);
  });
  return 0;
}
