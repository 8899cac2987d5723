// SPDX-License-Identifier: MIT
// A conversation with `git upload-pack` or `git receive-pack` wherever the repository is, as a
// stream: it begins with the advertisement. Over HTTP what is written up to the next read is one
// request, and the next reads give its answer.

#pragma once

#include <fermata/git_mem/failure.hpp>
#include <fermata/git_mem/remote.hpp>
#include <fermata/promise/process.hpp>
#include <fermata/promise/stream.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace fermata::git_mem::detail {

enum class git_service : std::uint8_t { upload_pack, receive_pack };

// "git-upload-pack"
[[nodiscard]] std::string service_name(git_service s);

class connection {
public:
  connection(std::unique_ptr<byte_stream> stream, std::optional<process> child, bool stateless)
      : stream_(std::move(stream)), child_(std::move(child)), stateless_(stateless) {}

  [[nodiscard]] byte_stream& stream() noexcept { return *stream_; }
  // Whether the other side forgets what was said as soon as it has answered.
  [[nodiscard]] bool is_stateless() const noexcept { return stateless_; }

  // Closes the stream and gives `why` with what a child said last, which is why it ended.
  promise<failure> explain(const error& why);

  // Closes the stream and waits for a child: hooks may run after its last word.
  promise<> finish();

private:
  std::unique_ptr<byte_stream> stream_;
  std::optional<process> child_;
  bool stateless_;
};

// The result of a conversation over `to`, or why there is none, as `explain` tells it.
// Lifetime: `to` outlives the promise.
template <typename T>
promise<T> or_explained(connection& to, promise<T> conversation) {
  std::unique_ptr<error> failed;
  try {
    T result = co_await std::move(conversation);
    co_return result;
  } catch (const failure& f) {
    failed = std::make_unique<failure>(f);
  } catch (const error& e) {
    failed = std::make_unique<error>(e);
  }
  promise<failure> explaining = to.explain(*failed);
  const failure told = co_await std::move(explaining);
  throw failure(told);
}

// Lifetime: both outlive the promise and the connection.
promise<connection> connect(const remote_url& url,
                            git_service service,
                            const remote_options& options);

}  // namespace fermata::git_mem::detail
