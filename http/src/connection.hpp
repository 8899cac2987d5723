// SPDX-License-Identifier: MIT
// One connection: read, answer, write, in order, until one side has enough.
#pragma once

#include "deadline.hpp"
#include "server_core.hpp"

#include <fermata/http/request_parser.hpp>
#include <fermata/http/response.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fermata::http::detail {

class connection final : private deadline::owner {
public:
  /// Lifetime: both outlive the connection, which outlives the promise of `run`.
  connection(server_core& core, byte_stream& stream);

  /// Settles when the connection has ended. Rejects: `cancelled` alone.
  promise<> run();
  /// Tells a client that the server is full.
  promise<> turn_away();
  /// Ends the connection now if it is between two requests, else after the next response.
  void stop();

private:
  enum class phase : std::uint8_t { idle, head, body, handling, writing, lingering };

  promise<> converse();
  promise<bool> receive();
  template <typename T>
  promise<T> flush_beside(promise<T> p);
  promise<bool> answer();
  promise<response> ask_handler();
  promise<bool> send(response r);
  promise<> send_bytes(shared_bytes bytes);
  promise<std::optional<shared_bytes>> next_piece(response& r, std::uint64_t& left);
  promise<bool> send_stream(response r, bool chunked);
  promise<std::size_t> read(std::span<char> room);
  promise<> write(std::span<const byte_view> pieces);
  promise<> flush();
  void clear_output();
  promise<> end();
  promise<> linger();

  void enter(phase p);
  void refuse(const parse_failure& f);
  void append_answer(int status, std::string_view text);
  void give_up_late();
  bool begin_body();
  void log_failure(std::string_view what, std::string_view why);
  void count(int status);
  void expired() noexcept override;

  server_core& core_;
  byte_stream& stream_;
  request_parser parser_;
  deadline deadline_;
  std::string out_;
  promise<std::size_t> reading_;  // held to be cancelled
  promise<> writing_;
  std::uint64_t written_before_ = 0;
  phase phase_ = phase::idle;
  bool has_head_ = false;  // the parser is within a request whose head is complete
  bool late_ = false;      // the deadline of phase_ has passed
  bool stopped_ = false;   // `stop` found us idle
  bool gone_ = false;      // a write failed
  bool cut_ = false;       // nothing more can be said to the client
  bool lingers_ = false;   // the client may be sending what nobody reads
};

}  // namespace fermata::http::detail
