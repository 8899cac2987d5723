// SPDX-License-Identifier: MIT
// One connection: read, answer, write, in order, until one side has enough.
#pragma once

#include "deadline.hpp"
#include "server_core.hpp"

#include <fermata/http/incoming_body.hpp>
#include <fermata/http/request_parser.hpp>
#include <fermata/http/response.hpp>
#include <fermata/promise/promise.hpp>
#include <fermata/promise/stream.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fermata::http::detail {

inline constexpr std::string_view continue_text = "HTTP/1.1 100 Continue\r\n\r\n";
inline constexpr std::size_t most_output_bytes = 64 * 1024;  // gathered before it is written
inline constexpr std::chrono::microseconds request_cost{15};

class connection final : private deadline::owner, private incoming_body {
public:
  /// `refused`: over the limit; only what is exempt is answered, once.
  /// Lifetime: both outlive the connection, which outlives the promise of `run`.
  connection(server_core& core, byte_stream& stream, bool refused);

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
  promise<bool> answer_streamed();
  promise<shared_bytes> read() override;
  promise<shared_bytes> read_piece();
  promise<> receive_piece();
  promise<> leave_body();
  promise<bool> discard_body();
  promise<response> ask_handler();
  promise<response> wait_beside_client(promise<response> asked);
  promise<response> stop_watching_after(promise<response> asked);
  promise<bool> send_watched_stream(response r, bool chunked);
  promise<> stop_watching();
  promise<> watch_client();
  [[nodiscard]] bool awaits_client() const;
  promise<bool> send(response r);
  promise<bool> send_and_tell(response r, time_point began);
  promise<> send_bytes(shared_bytes bytes);
  promise<> send_file_part(file_part part);
  promise<std::optional<shared_bytes>> next_piece(response& r, std::uint64_t& left);
  promise<bool> send_stream(response r, bool chunked);
  promise<std::size_t> read_into(std::span<char> room);
  promise<> write(std::span<const byte_view> pieces);
  template <typename Start>
  promise<> write_by(Start start);
  promise<> flush();
  void clear_output();
  promise<> end();
  promise<> linger();

  void enter(phase p);
  void refuse(const parse_failure& f);
  void append_answer(int status, std::string_view text, std::chrono::seconds retry_after = {});
  void give_up_late();
  void begin_body();
  void note_left(time_point began);
  void append_refusal(const server_core::verdict& v);
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
  promise<shared_bytes> reading_body_;
  promise<response> handling_;  // while it is pending
  promise<bool> streaming_;     // a stream that ends with its client, likewise
  promise<> watching_;          // beside one of them
  promise<std::size_t> reading_ahead_;
  std::chrono::nanoseconds body_patience_{0};  // left of body_time, for a body that is streamed
  std::uint64_t body_since_ = 0;               // bytes of it since that was renewed
  std::uint64_t written_before_ = 0;
  std::uint64_t body_bytes_ = 0;  // of the response under way
  phase phase_ = phase::idle;
  bool has_head_ = false;  // the parser is within a request whose head is complete
  bool late_ = false;      // the deadline of phase_ has passed
  bool stopped_ = false;   // `stop` found us idle
  bool gone_ = false;      // a write failed
  bool left_ = false;      // the client has ended while a handler was pending
  bool refused_ = false;
  bool is_streamed_ = false;    // the request under way is read by its handler
  bool body_over_ = false;      // all of that has come
  bool body_failed_ = false;    // the parser has refused it
  bool discards_ = false;       // it has been answered, and nobody reads the rest
  bool says_continue_ = false;  // before the first wait for it
  bool cut_ = false;            // nothing more can be said to the client
  bool lingers_ = false;        // the client may be sending what nobody reads
};

}  // namespace fermata::http::detail
