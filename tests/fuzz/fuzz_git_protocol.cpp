// SPDX-License-Identifier: MIT
// What a server may send. Byte 0 chooses the reader, byte 1 the pieces; the packets are the same
// however the stream is cut.

#include "replay.hpp"

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/pkt_line.hpp>
#include <fermata/git_mem/protocol.hpp>
#include <fermata/git_mem/remote_url.hpp>
#include <fermata/git_mem/tree.hpp>

#include <cstdlib>
#include <functional>

using namespace fermata::git_mem;

namespace {

// What the reader saw, and how it ended.
template <typename Piece>
std::string run(std::string_view stream, Piece piece, const std::function<void(const pkt&)>& take) {
  std::string seen;
  pkt_reader reader;
  try {
    while (!stream.empty()) {
      const std::size_t n = std::min<std::size_t>(piece(), stream.size());
      reader.feed(std::as_bytes(std::span(stream.data(), n)));
      stream.remove_prefix(n);
      while (const std::optional<pkt> p = reader.next()) {
        seen += std::to_string(static_cast<int>(p->kind)) + std::string(p->payload);
        take(*p);
      }
    }
    reader.finish_input();
  } catch (const failure& f) {
    seen += f.what();
  }
  return seen;
}

void run_reader(unsigned which, std::string_view stream, std::size_t piece) {
  const auto size = [piece] { return piece; };
  if (which == 0) {
    advertisement_reader r;
    run(stream, size, [&](const pkt& p) { static_cast<void>(r.push(p)); });
  } else if (which == 1) {
    ls_refs_reader r;
    run(stream, size, [&](const pkt& p) { static_cast<void>(r.push(p)); });
  } else if (which < 5) {
    fetch_reader r(which == 2 ? 2 : 0, which == 3);
    run(stream, size, [&](const pkt& p) { static_cast<void>(r.push(p)); });
  } else if (which == 5) {
    try {
      static_cast<void>(daemon_request(remote_url::parse(stream.substr(0, 4000))));
    } catch (const failure&) {
    }
  } else {
    tree_reader r({reinterpret_cast<const std::uint8_t*>(stream.data()), stream.size()});
    try {
      while (const std::optional<tree_entry> e = r.next()) {
        if (!is_safe_name(e->name)) std::abort();
      }
    } catch (const failure&) {
    }
  }
}

}  // namespace

std::vector<std::string> fuzz_seeds() {
  const std::string id(40, 'a');
  const auto packets = [](char which, std::initializer_list<std::string> lines) {
    std::string out{which, '\5'};
    for (const std::string& l : lines) append_pkt(out, l);
    append_flush(out);
    return out;
  };
  return {packets(0, {"version 2\n", "ls-refs=unborn", "fetch=shallow"}),
          packets(0, {id + " HEAD" + std::string(1, '\0') + "shallow", "shallow " + id}),
          packets(1, {id + " HEAD symref-target:refs/heads/x", "unborn HEAD"}),
          packets(2, {"shallow-info", "shallow " + id, "packfile", "\1PACK", "\2progress"}),
          packets(3, {"shallow " + id}) + packets(0, {"NAK", "\1PACK"}).substr(2),
          packets(4, {"NAK", "\1PACK", "\3fatal"}),
          std::string("\5\1git://host:1234/path%20x#branch"),
          std::string("\6\1"
                      "100644 name") +
              std::string(21, '\0') + "40000 dir" + std::string(21, '\0')};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto nothing = [](const pkt&) {};
  const std::string whole = run(
      stream, [] { return std::size_t{1} << 20; }, nothing);
  const std::size_t piece = data[1] % 64 + 1U;
  const std::string cut = run(
      stream, [piece] { return piece; }, nothing);
  if (whole != cut) std::abort();
  run_reader(data[0] % 7, stream, piece);
  return 0;
}
