// SPDX-License-Identifier: MIT
// The reading half of buffered streams.
//
// Invariants: (1) bytes leave the buffer only when an operation succeeds; (2) `busy` is set from
// the first wait to the end of an operation, and the buffer changes only under it; (3) no step
// moves or scans more than stream_piece_bytes.

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/pause.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace fermata {

namespace detail {

struct read_buffer {
  read_buffer(byte_stream& from, std::size_t most) noexcept : stream(&from), usual_bytes(most) {}

  [[nodiscard]] std::size_t size() const noexcept { return end - begin; }
  [[nodiscard]] std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(bytes.get()) + begin, size()};
  }
  void take(std::size_t n) noexcept {
    begin += n;
    given += n;
    if (begin < end) return;
    begin = end = 0;
    if (capacity > usual_bytes) {  // one long item does not cost its memory for ever
      bytes = nullptr;
      capacity = 0;
    }
  }

  byte_stream* stream;  // nullptr: the reader is gone, and the stream may be
  std::size_t usual_bytes;
  std::unique_ptr<std::byte[]> bytes;
  std::size_t capacity = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::uint64_t given = 0;
  bool busy = false;
};

}  // namespace detail

namespace {

using detail::read_buffer;
using detail::stream_cost;
using detail::stream_piece_bytes;
using buffer_ptr = std::shared_ptr<read_buffer>;
using maybe_text = std::optional<std::string>;

constexpr const char* two_operations = "two reads are under way on one reader";
constexpr std::size_t nowhere = std::string_view::npos;

const buffer_ptr& held(const buffer_ptr& b) {
  if (b == nullptr) throw contract_error("a reader that was moved from is used");
  return b;
}

byte_stream& stream_of(const read_buffer& b) {
  if (b.stream == nullptr) throw cancelled();
  return *b.stream;
}

// ---- the buffer ----

// Room for `more` bytes behind those that are there, which stay.
promise<> make_room(buffer_ptr b, std::size_t more) {
  if (b->capacity - b->end >= more) co_return;
  const std::size_t size = b->size();
  const bool fits = b->capacity - size >= more && size <= b->capacity / 2;
  std::size_t capacity = b->capacity;
  std::unique_ptr<std::byte[]> larger;
  if (!fits) {
    capacity = std::max({b->usual_bytes, size + more, 2 * size});
    larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
  }
  // Within one block the bytes move towards its begin and over no byte that is still to move.
  std::byte* to = larger != nullptr ? larger.get() : b->bytes.get();
  if (size <= stream_piece_bytes) {
    if (size > 0) std::memmove(to, b->bytes.get() + b->begin, size);
  } else {
    // A cancel between two pieces must find the buffer whole: only a new block is filled so.
    if (larger == nullptr) {
      larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
      to = larger.get();
    }
    for (std::size_t done = 0; done < size; done += stream_piece_bytes) {
      const std::size_t n = std::min(stream_piece_bytes, size - done);
      std::memcpy(to + done, b->bytes.get() + b->begin + done, n);
      co_await maybe_pause(stream_cost(n));
    }
  }
  if (larger != nullptr) {
    b->bytes = std::move(larger);
    b->capacity = capacity;
  }
  b->begin = 0;
  b->end = size;
}

// Reads what comes next behind what is there: up to `most` bytes. False: the stream has ended.
promise<bool> fill(buffer_ptr b, std::size_t most) {
  if (b->capacity == b->end) {
    promise<> room = make_room(b, std::min(most, b->usual_bytes));
    co_await std::move(room);
  }
  const std::size_t room = std::min(b->capacity - b->end, stream_piece_bytes);
  promise<std::size_t> coming = stream_of(*b).read(std::span(b->bytes.get() + b->end, room));
  const std::size_t n = co_await std::move(coming);
  b->end += n;
  co_return n > 0;
}

// Until `n` bytes are there. False: the stream ended before.
promise<bool> fill_to(buffer_ptr b, std::size_t n) {
  while (b->size() < n) {
    promise<bool> filled = fill(b, n - b->size());
    const bool came = co_await std::move(filled);
    if (!came) co_return false;
  }
  co_return true;
}

// Takes the first `n` bytes, and `and_more` behind them.
promise<std::string> take_text(buffer_ptr b, std::size_t n, std::size_t and_more) {
  std::string text;
  text.reserve(n);
  while (text.size() < n) {
    const std::size_t piece = std::min(stream_piece_bytes, n - text.size());
    text.append(b->view().substr(text.size(), piece));
    co_await maybe_pause(stream_cost(piece));
  }
  b->take(n + and_more);
  co_return text;
}

unexpected_end ends_after(const read_buffer& b, std::uint64_t came, std::uint64_t wanted) {
  return unexpected_end(fmt::format("cannot read from {}: the stream ends after {} of {} bytes",
                                    stream_of(b).peer(), came, wanted));
}

// ---- delimiters ----

// How the end of an item is found and what is said where it is not.
struct item_end {
  std::string delimiter;
  std::size_t most_bytes;
  bool is_line;  // a CR before the delimiter goes too, and the last item needs no delimiter
};

struct item_place {
  std::size_t size;   // of the item
  std::size_t after;  // what is taken behind it
};

[[nodiscard]] std::size_t find(std::string_view in, std::string_view delimiter, std::size_t from) {
  if (delimiter.size() == 1) return in.find(delimiter[0], from);
  const void* at = ::memmem(in.data() + from, in.size() - from, delimiter.data(), delimiter.size());
  return at == nullptr ? nowhere
                       : static_cast<std::size_t>(static_cast<const char*>(at) - in.data());
}

item_place place_of(std::string_view in, std::size_t delimiter_at, const item_end& e) {
  item_place p{delimiter_at, e.delimiter.size()};
  if (e.is_line && p.size > 0 && in[p.size - 1] == '\r') {
    --p.size;
    ++p.after;
  }
  return p;
}

limit_reached too_long(const read_buffer& b, const item_end& e) {
  return limit_reached(
      e.is_line ? fmt::format("cannot read from {}: a line is longer than {} bytes",
                              stream_of(b).peer(), e.most_bytes)
                : fmt::format("cannot read from {}: the delimiter does not come within {} bytes",
                              stream_of(b).peer(), e.most_bytes));
}

// The most that may stand in the buffer without a delimiter while the item may still be short
// enough.
std::size_t most_pending(const item_end& e) noexcept {
  const std::size_t more = e.delimiter.size() - 1 + (e.is_line ? 1 : 0);
  return e.most_bytes > nowhere - more ? nowhere : e.most_bytes + more;
}

promise<maybe_text> give(buffer_ptr b, item_place at) {
  promise<std::string> text = take_text(b, at.size, at.after);
  maybe_text result = co_await std::move(text);
  co_return result;
}

promise<maybe_text> read_item(buffer_ptr b, item_end e) {
  const detail::direction_guard guard(b->busy, two_operations);
  std::size_t scanned = 0;  // no delimiter begins before
  for (;;) {
    while (scanned + e.delimiter.size() <= b->size()) {
      const std::size_t until =
          std::min(b->size(), scanned + stream_piece_bytes + e.delimiter.size() - 1);
      const std::size_t found = find(b->view().substr(0, until), e.delimiter, scanned);
      if (found != nowhere) {
        const item_place at = place_of(b->view(), found, e);
        if (at.size > e.most_bytes) throw too_long(*b, e);
        promise<maybe_text> given = give(b, at);
        co_return co_await std::move(given);
      }
      const std::size_t step = until - scanned;
      scanned = until - (e.delimiter.size() - 1);
      co_await maybe_pause(stream_cost(step));
    }
    if (b->size() > most_pending(e)) throw too_long(*b, e);
    promise<bool> filled = fill(b, b->usual_bytes);
    const bool came = co_await std::move(filled);
    if (!came) break;
  }
  if (b->size() == 0) co_return std::nullopt;
  if (!e.is_line) {
    throw unexpected_end(
        fmt::format("cannot read from {}: the stream ends after {} bytes without the delimiter",
                    stream_of(*b).peer(), b->size()));
  }
  if (b->size() > e.most_bytes) throw too_long(*b, e);
  promise<maybe_text> given = give(b, item_place{b->size(), 0});
  co_return co_await std::move(given);
}

// Without a coroutine where the whole item is near.
promise<maybe_text> next_item(const buffer_ptr& b, item_end e) {
  if (b->busy) return rejected<maybe_text>(contract_error(two_operations));
  const std::string_view near = b->view().substr(0, 4096);
  const std::size_t found = near.size() < e.delimiter.size() ? nowhere : find(near, e.delimiter, 0);
  if (found == nowhere) return read_item(b, std::move(e));
  const item_place at = place_of(near, found, e);
  if (at.size > e.most_bytes) return rejected<maybe_text>(too_long(*b, e));
  maybe_text text(std::string(near.substr(0, at.size)));
  b->take(at.size + at.after);
  static_cast<void>(due(std::chrono::nanoseconds(200)));
  return ready(std::move(text));
}

promise<maybe_text> next_line(const buffer_ptr& b, std::size_t most_bytes) {
  return next_item(b, item_end{"\n", most_bytes, true});
}

// ---- the other operations ----

promise<std::size_t> copy_out(const buffer_ptr& b, std::span<std::byte> into) {
  const std::size_t n = std::min({into.size(), b->size(), stream_piece_bytes});
  std::memcpy(into.data(), b->view().data(), n);
  b->take(n);
  static_cast<void>(due(stream_cost(n)));
  return ready(n);
}

promise<std::size_t> read_when_there(buffer_ptr b, std::span<std::byte> into) {
  const detail::direction_guard guard(b->busy, two_operations);
  if (into.size() >= b->usual_bytes) {
    promise<std::size_t> coming = stream_of(*b).read(into);
    const std::size_t n = co_await std::move(coming);
    b->given += n;
    co_return n;
  }
  promise<bool> filled = fill(b, b->usual_bytes);
  const bool came = co_await std::move(filled);
  if (!came) co_return std::size_t{0};
  promise<std::size_t> copied = copy_out(b, into);
  co_return co_await std::move(copied);
}

promise<std::string> exactly(buffer_ptr b, std::size_t n) {
  const detail::direction_guard guard(b->busy, two_operations);
  promise<bool> filled = fill_to(b, n);
  const bool came = co_await std::move(filled);
  if (!came) throw ends_after(*b, b->size(), n);
  promise<std::string> text = take_text(b, n, 0);
  co_return co_await std::move(text);
}

promise<> exactly_into(buffer_ptr b, std::span<std::byte> into) {
  const detail::direction_guard guard(b->busy, two_operations);
  const std::size_t wanted = into.size();
  while (!into.empty()) {
    std::size_t n = 0;
    if (b->size() > 0) {
      promise<std::size_t> copied = copy_out(b, into);
      n = co_await std::move(copied);
    } else if (into.size() >= b->usual_bytes) {
      promise<std::size_t> coming = stream_of(*b).read(into);
      n = co_await std::move(coming);
      b->given += n;
      if (n == 0) throw ends_after(*b, wanted - into.size(), wanted);
    } else {
      promise<bool> filled = fill(b, b->usual_bytes);
      const bool came = co_await std::move(filled);
      if (!came) throw ends_after(*b, wanted - into.size(), wanted);
    }
    into = into.subspan(n);
  }
}

promise<std::string> all(buffer_ptr b, std::size_t most_bytes) {
  const detail::direction_guard guard(b->busy, two_operations);
  for (;;) {
    if (b->size() > most_bytes) {
      throw limit_reached(fmt::format("cannot read from {}: more than {} bytes come",
                                      stream_of(*b).peer(), most_bytes));
    }
    promise<bool> filled = fill(b, b->usual_bytes);
    const bool came = co_await std::move(filled);
    if (!came) break;
  }
  promise<std::string> text = take_text(b, b->size(), 0);
  co_return co_await std::move(text);
}

promise<std::string_view> look(buffer_ptr b, std::size_t n) {
  const detail::direction_guard guard(b->busy, two_operations);
  promise<bool> filled = fill_to(b, n);
  co_await std::move(filled);
  co_return b->view();
}

}  // namespace

buffered_reader::buffered_reader(byte_stream& from, std::size_t buffer_bytes)
    : buffer_(std::make_shared<read_buffer>(from, buffer_bytes)) {
  if (buffer_bytes == 0) throw contract_error("a buffered reader needs a buffer");
}

buffered_reader::~buffered_reader() {
  if (buffer_ != nullptr) buffer_->stream = nullptr;
}

promise<std::size_t> buffered_reader::read_some(std::span<std::byte> into) {
  if (into.empty()) return rejected<std::size_t>(contract_error("a read into no bytes"));
  if (held(buffer_)->busy) return rejected<std::size_t>(contract_error(two_operations));
  if (buffer_->size() > 0) return copy_out(buffer_, into);
  return read_when_there(buffer_, into);
}

promise<std::string> buffered_reader::read_exactly(std::size_t n) {
  return exactly(held(buffer_), n);
}
promise<> buffered_reader::read_exactly(std::span<std::byte> into) {
  return exactly_into(held(buffer_), into);
}

promise<std::optional<std::string>> buffered_reader::read_until(std::string delimiter,
                                                                std::size_t most_bytes) {
  if (delimiter.empty()) return rejected<maybe_text>(contract_error("a delimiter of no bytes"));
  return next_item(held(buffer_), item_end{std::move(delimiter), most_bytes, false});
}

promise<std::optional<std::string>> buffered_reader::read_line(std::size_t most_bytes) {
  return next_line(held(buffer_), most_bytes);
}

promise<std::string> buffered_reader::read_all(std::size_t most_bytes) {
  return all(held(buffer_), most_bytes);
}

line_sequence buffered_reader::lines(std::size_t most_bytes) { return {held(buffer_), most_bytes}; }
promise<std::optional<std::string>> line_sequence::next() {
  return next_line(held(buffer_), most_bytes_);
}

promise<std::string_view> buffered_reader::peek(std::size_t n) { return look(held(buffer_), n); }
std::string_view buffered_reader::buffered() const noexcept {
  return buffer_ == nullptr ? std::string_view() : buffer_->view();
}

void buffered_reader::consume(std::size_t n) {
  if (held(buffer_)->busy) throw contract_error(two_operations);
  if (n > buffer_->size()) throw contract_error("more bytes are consumed than are buffered");
  buffer_->take(n);
}

std::uint64_t buffered_reader::given_bytes() const noexcept {
  return buffer_ == nullptr ? 0 : buffer_->given;
}

}  // namespace fermata
