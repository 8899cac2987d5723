// SPDX-License-Identifier: MIT
// One transfer of libcurl: its options, its callbacks, its bytes and its limits.
//
// Invariants: (1) at most `most_queued` pieces are in the channel when libcurl hands over bytes, so
// that the rest of a finished transfer always has a place; (2) callbacks of libcurl never call it.
#pragma once

#include "client_engine.hpp"

#include <fermata/promise/channel.hpp>

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::http::detail {

class curl_transfer final : private timer_node {
public:
  static constexpr std::size_t piece_bytes = 64 * 1024;
  static constexpr std::size_t most_queued = 4;

  curl_transfer(client_engine& owner, hop h, resolver<hop_head> settle);
  ~curl_transfer();

  [[nodiscard]] const std::string& origin() const noexcept { return hop_.origin; }
  [[nodiscard]] bool is_over() const noexcept { return phase_ == phase::over; }

  /// Its turn has come.
  void start();
  /// libcurl has ended it.
  void finish(CURLcode code);
  void fail(std::exception_ptr e);
  /// Sends what has gathered, where there is room.
  void flush();
  [[nodiscard]] static promise<std::optional<std::string>> read(std::shared_ptr<curl_transfer> t);
  [[nodiscard]] static promise<bool> feed(std::shared_ptr<curl_transfer> t, shared_bytes piece);

private:
  enum class phase : std::uint8_t { waiting, connecting, asking, receiving, over };

  void set_options();
  void set_body();
  void set_security();
  void set_fields();
  template <typename T>
  void set(CURLoption option, T value);

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_upload(char* into, std::size_t size, std::size_t count, void* self);
  static int on_seek(void* self, curl_off_t offset, int origin);
  static int on_connected(void* self, char*, char*, int, int);

  bool take_header(std::string_view line);
  std::size_t take_body(std::string_view bytes);
  std::size_t give_body(std::span<char> into);
  void head_is_there();
  void stop_libcurl() noexcept;
  void go_on_receiving();
  void unpause(int what);

  void enter(phase p);
  void arm();
  void run() noexcept override;
  [[nodiscard]] std::exception_ptr failure_of(CURLcode code) const;
  [[nodiscard]] std::exception_ptr late(client_time which) const;
  [[nodiscard]] std::string described(std::string_view why) const;

  client_engine& owner_;
  hop hop_;
  resolver<hop_head> settle_;
  channel_writer<std::string> pieces_;
  channel_reader<std::string> reader_;
  channel_writer<shared_bytes> feed_;
  channel_reader<shared_bytes> fed_;
  CURL* easy_ = nullptr;
  curl_slist* fields_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> message_{};
  hop_head head_;
  std::size_t head_bytes_ = 0;
  std::string gathered_;
  std::size_t queued_ = 0;
  shared_bytes upload_;  // what is being sent
  std::size_t uploaded_ = 0;
  std::uint64_t consumed_ = 0;  // of the request's body, in all
  int paused_ = 0;              // libcurl's bits
  bool is_touched_ = false;
  bool is_running_ = false;
  bool is_added_ = false;
  std::exception_ptr failure_;  // found within a callback

  phase phase_ = phase::waiting;
  time_point total_until_ = time_point::max();
  time_point phase_until_ = time_point::max();
  std::uint64_t moved_ = 0;  // bytes both ways since the window began
};

}  // namespace fermata::http::detail
