// SPDX-License-Identifier: MIT
// A transfer as the caller's loop sees it: asks the other thread for pieces, inflates, counts.
#pragma once

#include "client_hop.hpp"

#include <fermata/http/client.hpp>
#include <fermata/http/inflater.hpp>
#include <fermata/loop/mailbox.hpp>
#include <fermata/promise/promise.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::http::detail {

class client_engine;

/// The way to the thread; the engine exists as long as letters are delivered.
struct client_link {
  mailbox_ptr letters;
  client_engine* engine = nullptr;
  std::uint64_t next_id = 1;
  std::string user_agent;
  transfer_options defaults;
};
using client_link_ptr = std::shared_ptr<client_link>;

class client_transfer {
public:
  explicit client_transfer(client_link_ptr link);
  client_transfer(const client_transfer&) = delete;
  client_transfer& operator=(const client_transfer&) = delete;
  ~client_transfer() { end(); }

  /// Sends the head, and what `source` gives where there is one.
  [[nodiscard]] promise<hop_head> begin(hop h, body_source source);
  /// What the head says of the body. Throws: `client_error` where it is too large.
  void expect(const hop_head& head, bool inflates);
  [[nodiscard]] static promise<shared_bytes> read(std::shared_ptr<client_transfer> t);
  /// A client_error about this transfer: `cannot get URL: why`.
  [[nodiscard]] client_error failure(client_failure kind, std::string_view why) const;
  void end() noexcept;
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept { return length_; }

private:
  static promise<> pump(client_link_ptr link, std::uint64_t id, body_source source);
  [[nodiscard]] promise<std::optional<std::string>> fetch() const;
  [[nodiscard]] std::string inflate_some();
  void count(std::size_t n);

  client_link_ptr link_;
  std::uint64_t id_;
  std::string method_;
  std::string url_;
  std::uint64_t most_bytes_ = 0;
  std::uint64_t given_ = 0;
  std::optional<std::uint64_t> length_;
  std::unique_ptr<inflater> inflater_;
  promise<> pumping_;
  bool is_reading_ = false;
  bool is_over_ = false;   // nothing more comes
  bool is_ended_ = false;  // the other thread has been told
};

}  // namespace fermata::http::detail
