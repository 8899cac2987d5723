// SPDX-License-Identifier: MIT
/// What a client and `git upload-pack` say to each other, in protocol 2, 1 and 0, without any I/O.
///
/// Shape:  readers take packets one by one (`push`) and say when their message is over.
/// Pauses: never; a push is O(packet).
/// Thread: any, one at a time.
/// Throws: `failure`: reason::protocol for what git does not say, reason::remote for what the other
///         side refused (`ERR`, band 3), reason::limit, reason::unsupported.
#pragma once

#include <fermata/git_mem/object_id.hpp>
#include <fermata/git_mem/object_store.hpp>
#include <fermata/git_mem/pkt_line.hpp>

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::git_mem {

/// What an advertisement may use.
struct protocol_limits {
  std::uint64_t refs = 1'000'000;
  std::uint64_t advertisement_bytes = std::uint64_t{256} << 20;  ///< mostly refs
  std::uint64_t capability_bytes = 64
                                   << 10;  ///< those of git's server and of hosts take below 1 KiB
  std::uint64_t shallow = 1'000'000;
  std::uint64_t acknowledgments = 1'000'000;  ///< of one answer
  std::uint64_t progress_bytes = std::uint64_t{16} << 20;
};

/// What the other side can do: "name" or "name=value", in its order.
class capabilities {
public:
  void add(std::string_view text);        ///< one
  void add_all(std::string_view spaced);  ///< separated by spaces
  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> find_value(std::string_view name) const;
  /// Is `word` among the words of the value of `name`? ("fetch=shallow wait-for-done")
  [[nodiscard]] bool offers(std::string_view name, std::string_view word) const;
  [[nodiscard]] const std::vector<std::string>& all() const noexcept { return all_; }

private:
  std::vector<std::string> all_;
};

/// What fits into a packet beside an object's name and what a server can.
inline constexpr std::size_t longest_ref_name = 64'000;

/// Is this a name that a ref may have (git check-ref-format, or HEAD)?
[[nodiscard]] bool is_ref_name(std::string_view name) noexcept;

/// What the other side says first.
struct advertisement {
  int version = 0;  ///< 0, 1 or 2
  capabilities can;
  std::deque<reference> refs;      ///< versions 0 and 1; symbolic targets are filled in
  std::vector<object_id> shallow;  ///< versions 0 and 1, as they came
};

class advertisement_reader {
public:
  explicit advertisement_reader(protocol_limits limits = {}) : limits_(limits) {}

  /// True when the advertisement is over.
  [[nodiscard]] bool push(const pkt& p);
  [[nodiscard]] advertisement& result() noexcept { return result_; }

private:
  void count_capabilities(std::size_t bytes);
  void read_line(std::string_view payload);
  void read_ref(std::string_view line);
  void finish();

  protocol_limits limits_;
  advertisement result_;
  bool started_ = false;
  bool caps_read_ = false;
  std::uint64_t bytes_ = 0;
  std::uint64_t capability_bytes_ = 0;
  std::string guessed_head_;  // a branch that stands where HEAD does
};

/// Protocol 2: asks for the refs under the prefixes (all if there are none).
[[nodiscard]] std::string ls_refs_request(const capabilities& can,
                                          const std::vector<std::string>& prefixes);

class ls_refs_reader {
public:
  explicit ls_refs_reader(std::vector<std::string> prefixes = {}, protocol_limits limits = {})
      : prefixes_(std::move(prefixes)), limits_(limits) {}

  [[nodiscard]] bool push(const pkt& p);

  /// Servers may ignore the prefixes: these are filtered again.
  [[nodiscard]] std::deque<reference>& refs() noexcept { return refs_; }
  /// What HEAD stands for where that is not there.
  [[nodiscard]] const std::string& unborn_head() const noexcept { return unborn_head_; }

private:
  std::vector<std::string> prefixes_;
  protocol_limits limits_;
  std::deque<reference> refs_;  // growing moves none of them
  bool has_head_ = false;
  std::string unborn_head_;
  std::uint64_t bytes_ = 0;
};

/// What to fetch. Without haves `done` is said at once.
struct fetch_request {
  std::vector<object_id> wants;
  std::vector<object_id> haves;
  std::vector<object_id> shallow;
  std::uint32_t depth = 0;           ///< 0: all history
  bool deepen_relative = false;      ///< `depth` counts from where the client's history ends
  std::int64_t since = 0;            ///< commits of this second and later; 0: all. With no depth.
  std::vector<std::string> without;  ///< refs whose history is left out. With no depth.
  std::string filter;                ///< of a partial clone: `blob:none`; empty: none
  bool thin_pack = true;
  bool include_tag = false;
  bool progress = true;
  bool done = true;

  /// Whether it moves the place where history ends.
  [[nodiscard]] bool deepens() const noexcept {
    return depth > 0 || since != 0 || !without.empty();
  }
};

/// The text of a request, in parts: of 50,000 ids it has 2.5 MB.
///
/// Lifetime: the request outlives it.
class fetch_writer {
public:
  /// Throws: `failure` (reason::unsupported) if the other side cannot do what is asked.
  fetch_writer(const advertisement& from, const fetch_request& request);

  /// Appends what comes next, at most 64 ids (10 us); false if that was the last of it.
  [[nodiscard]] bool write(std::string& out);

private:
  struct part {
    std::string before;
    std::string_view key;
    std::span<const object_id> ids;
  };
  void lay_out(const capabilities& can, const fetch_request& request);
  void lay_out_classic(const capabilities& can, const fetch_request& request);

  std::vector<part> parts_;
  std::size_t at_ = 0;
};

/// The whole text in one step, for few ids. Throws: as `fetch_writer`.
[[nodiscard]] std::string write_fetch(const advertisement& from, const fetch_request& request);

/// The answer to a fetch, up to the end of the pack.
class fetch_reader {
public:
  /// What a packet was. `data` is valid as long as the packet.
  struct event {
    enum class kind : std::uint8_t { none, pack, progress, done };
    kind what = kind::none;
    std::string_view data;
  };

  /// `version` as advertised; `deepen`: whether the request had a depth (version 0 answers that
  /// apart).
  fetch_reader(int version, bool deepen, protocol_limits limits = {});

  [[nodiscard]] event push(const pkt& p);

  /// Throws if the answer may not end here: the other side hung up.
  void finish_input() const;

  /// As they came: in any order, and some twice.
  [[nodiscard]] std::vector<object_id>& shallow() noexcept { return shallow_; }
  [[nodiscard]] std::vector<object_id>& unshallow() noexcept { return unshallow_; }
  [[nodiscard]] const std::vector<object_id>& common() const noexcept { return common_; }
  [[nodiscard]] bool ready() const noexcept { return ready_; }
  [[nodiscard]] bool in_pack() const noexcept { return section_ == section::pack; }
  [[nodiscard]] std::uint64_t pack_bytes() const noexcept { return pack_bytes_; }

  /// What band 2 said last, without control characters: for messages.
  [[nodiscard]] const std::string& last_words() const noexcept { return last_words_; }

private:
  enum class section : std::uint8_t { start, acks, shallow, other, pack, over };

  [[nodiscard]] event push_v2(const pkt& p);
  [[nodiscard]] event push_v0(const pkt& p);
  [[nodiscard]] event read_band(std::string_view payload);
  void open_section(std::string_view name);
  void read_ack(std::string_view line);
  bool read_shallow(std::string_view line);

  int version_;
  protocol_limits limits_;
  section section_;
  std::vector<object_id> shallow_;
  std::vector<object_id> unshallow_;
  std::vector<object_id> common_;
  bool ready_ = false;
  std::uint64_t pack_bytes_ = 0;
  std::uint64_t progress_bytes_ = 0;
  std::string last_words_;
};

}  // namespace fermata::git_mem
