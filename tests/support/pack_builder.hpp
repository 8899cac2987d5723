// SPDX-License-Identifier: MIT
/// Packs written by hand, good and bad ones, and what feeds them to an analyser.
#pragma once

#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/object_id.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/pack_analyser.hpp>

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace fermata::test {

inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string deflated(std::string_view text, int level = 6) {
  uLongf size = compressBound(text.size());
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(text.data()), text.size(), level);
  out.resize(size);
  return out;
}

inline std::string sha1_of(std::string_view text) {
  git_mem::checksum sum;
  sum.update(as_bytes(text));
  return {reinterpret_cast<const char*>(sum.finish().data()), git_mem::object_id::size_bytes};
}

/// A size as deltas write it.
inline std::string delta_size(std::uint64_t n) {
  std::string out;
  do {
    out += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
    n >>= 7;
  } while (n > 0);
  return out;
}

/// "copy `size` bytes from `offset`", all seven bytes written out.
inline std::string copy_op(std::uint32_t offset, std::uint32_t size) {
  std::string out(1, static_cast<char>(0xff));
  for (int i = 0; i < 4; ++i) out += static_cast<char>(offset >> (8 * i));
  for (int i = 0; i < 3; ++i) out += static_cast<char>(size >> (8 * i));
  return out;
}

/// Inserts of at most 127 bytes each.
inline std::string insert_ops(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(127, text.size()))) {
    const std::string_view part = text.substr(0, 127);
    out += static_cast<char>(part.size());
    out += part;
  }
  return out;
}

inline std::string make_delta(std::uint64_t base, std::uint64_t result, std::string_view ops) {
  return delta_size(base) + delta_size(result) + std::string(ops);
}

/// Builds a pack entry by entry; every part can be made wrong.
class pack_builder {
public:
  static constexpr unsigned commit = 1, tree = 2, blob = 3, tag = 4, ofs = 6, ref = 7;

  [[nodiscard]] std::uint64_t here() const { return 12 + body_.size(); }

  /// Type and size, in front of every entry.
  void head(unsigned kind, std::uint64_t size) {
    std::uint8_t first = static_cast<std::uint8_t>((kind << 4) | (size & 15));
    size >>= 4;
    while (size > 0) {
      body_ += static_cast<char>(first | 128);
      first = size & 127;
      size >>= 7;
    }
    body_ += static_cast<char>(first);
    ++count_;
  }
  std::uint64_t object(unsigned kind, std::string_view text) {
    return object_of_size(kind, text, text.size());
  }
  std::uint64_t object_of_size(unsigned kind, std::string_view text, std::uint64_t size) {
    const std::uint64_t at = here();
    head(kind, size);
    body_ += deflated(text);
    return at;
  }
  std::uint64_t ofs_delta(std::uint64_t base, std::string_view delta) {
    return ofs_delta_back(here() - base, delta);
  }
  std::uint64_t ofs_delta_back(std::uint64_t back, std::string_view delta) {
    const std::uint64_t at = here();
    head(ofs, delta.size());
    std::string digits(1, static_cast<char>(back & 127));
    while ((back >>= 7) > 0) digits += static_cast<char>(128 | (--back & 127));
    std::reverse(digits.begin(), digits.end());
    body_ += digits + deflated(delta);
    return at;
  }
  std::uint64_t ref_delta(const git_mem::object_id& base, std::string_view delta) {
    const std::uint64_t at = here();
    head(ref, delta.size());
    body_.append(reinterpret_cast<const char*>(base.data()), 20);
    body_ += deflated(delta);
    return at;
  }
  void raw(std::string_view bytes) { body_ += bytes; }

  /// The pack, with its own count and checksum unless told otherwise.
  [[nodiscard]] std::string finish(std::optional<std::uint32_t> count = {}) const {
    const std::uint32_t n = count.value_or(count_);
    std::string out("PACK\0\0\0\2", 8);
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift);
    out += body_;
    return out + sha1_of(out);
  }

private:
  std::string body_;
  std::uint32_t count_ = 0;
};

inline git_mem::object_id blob_id(std::string_view text) {
  return git_mem::name_object(git_mem::object_type::blob, as_bytes(text));
}

/// What came of a pack: the pack, or the message.
struct analysed {
  std::unique_ptr<git_mem::pack> pack;
  std::string error;
  git_mem::pack_progress progress;
  std::chrono::nanoseconds dearest{};  ///< step, as declared
};

/// Feeds in pieces that `piece` chooses, and steps with the least budget: one unit a step.
template <typename Piece>
analysed analyse_in_pieces(std::string_view bytes,
                           Piece piece,
                           git_mem::pack_limits limits = {},
                           git_mem::snapshot_ptr bases = {},
                           std::chrono::nanoseconds budget = std::chrono::nanoseconds(1)) {
  git_mem::pack_analyser analyser(limits, std::move(bases));
  analysed out;
  std::size_t at = 0;
  bool ended = false;
  for (;;) {
    const git_mem::step_result r = analyser.step(budget);
    out.dearest = std::max(out.dearest, r.cost);
    if (r.state == git_mem::step_state::done) {
      out.progress = analyser.progress();
      out.pack = analyser.take();
      return out;
    }
    if (r.state == git_mem::step_state::error) {
      out.progress = analyser.progress();
      out.error = analyser.error().what();
      return out;
    }
    if (r.state != git_mem::step_state::need_input) continue;
    if (ended) {
      out.error = "stuck";
      return out;
    }
    const std::size_t n = std::min<std::size_t>(piece(), bytes.size() - at);
    if (n == 0) {
      analyser.finish_input();
      ended = true;
    } else {
      analyser.feed(std::as_bytes(std::span(bytes.data() + at, n)));
      at += n;
    }
  }
}

inline analysed analyse(std::string_view bytes,
                        git_mem::pack_limits limits = {},
                        git_mem::snapshot_ptr bases = {}) {
  return analyse_in_pieces(
      bytes, [] { return std::size_t{65536}; }, limits, std::move(bases));
}

/// A snapshot of one pack.
inline git_mem::snapshot_ptr snapshot_of(std::unique_ptr<git_mem::pack> p) {
  auto s = std::make_shared<git_mem::snapshot>();
  s->packs.push_back(std::move(p));
  return s;
}

}  // namespace fermata::test
