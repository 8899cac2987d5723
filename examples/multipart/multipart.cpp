// SPDX-License-Identifier: MIT
// Reads multipart/form-data as it comes and hands each part's pieces over through a channel. A
// bound makes reader and consumer take turns; without one a whole part piles up in memory first.

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/channel.hpp>
#include <fermata/promise/scope.hpp>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <string>

using fermata::promise;
using fermata::scope;

namespace {

constexpr std::size_t longest_header = 1000;

struct result {
  std::string trace;  // + a piece is handed over, - it is consumed
  std::map<std::string, std::string> parts;
};

promise<> consume(std::string name, fermata::channel_reader<std::string> pieces, result& r) {
  while (true) {
    const std::optional<std::string> piece = co_await pieces.receive();
    if (!piece) co_return;
    r.trace += '-';
    r.parts[name] += *piece;
  }
}

// The name of the part whose header comes now; nothing after the last part.
promise<std::optional<std::string>> next_part(fermata::buffered_reader& form) {
  std::string name;
  const std::string after = co_await form.read_exactly(2);  // behind a boundary
  if (after == "--") co_return std::nullopt;
  while (true) {
    const std::optional<std::string> line = co_await form.read_line(longest_header);
    if (!line) throw fermata::error("cannot read the form: it ends within a header");
    if (line->empty()) co_return name;
    const std::size_t at = line->find(" name=\"");
    if (at != line->npos) name = line->substr(at + 7, line->find('"', at + 7) - at - 7);
  }
}

// [part]
promise<> read_part(fermata::buffered_reader& form,
                    const std::string& boundary,
                    fermata::channel_writer<std::string> out,
                    result& r) {
  while (true) {
    const std::string_view seen = co_await form.peek(boundary.size() + 1);
    const std::size_t found = std::min(seen.find(boundary), seen.size());
    if (found == seen.size() && seen.size() <= boundary.size()) {
      throw fermata::error("cannot read the form: it ends within a part");
    }
    if (found == 0) break;
    // What may be the beginning of a boundary stays.
    const std::size_t sure = found < seen.size() ? found : seen.size() - boundary.size() + 1;
    std::string piece(seen.substr(0, sure));
    form.consume(sure);
    co_await out.send(std::move(piece));  // waits while the consumer is behind
    r.trace += '+';
  }
  form.consume(boundary.size());
}
// [/part]

promise<> read_form(
    scope& s, fermata::byte_stream& from, std::string boundary, std::size_t capacity, result& r) {
  fermata::buffered_reader form(from, 32);
  static_cast<void>(co_await form.read_exactly(boundary.size() - 2));  // no CR LF before the first
  while (true) {
    const std::optional<std::string> name = co_await next_part(form);
    if (!name) co_return;
    auto [out, in] = fermata::channel<std::string>(capacity);
    s.fork([n = *name, p = std::move(in), &r]() mutable { return consume(n, std::move(p), r); });
    promise<> part = read_part(form, boundary, std::move(out), r);
    co_await part;
  }
}

promise<> send_form(fermata::byte_stream& to) {
  const std::string head = "--XY\r\nContent-Disposition: form-data; name=\"";
  co_await fermata::write_text(to, head + "a\"\r\n\r\n" + std::string(300, 'a') + "\r\n");
  co_await fermata::write_text(to, head + "b\"\r\n\r\n" + std::string(99, 'b') + "\r\n--XY--\r\n");
  co_await to.shutdown();
}

result read_with(std::size_t capacity) {
  fermata::loop_options options;
  options.when = fermata::policy::greedy();  // no other reason to take turns
  fermata::event_loop loop(std::move(options));
  auto [here, there] = fermata::memory_stream_pair();
  loop.run([&to = *there] { return send_form(to); });
  result r;
  loop.run([&, &from = *here] {
    return scope::run([&](scope& s) { return read_form(s, from, "\r\n--XY", capacity, r); });
  });
  return r;
}

// How often a piece is handed over after one has been consumed.
int turns(const std::string& trace) {
  int n = 0;
  for (std::size_t at = trace.find("-+"); at != trace.npos; at = trace.find("-+", at + 1)) ++n;
  return n;
}

}  // namespace

int main() {
  const result bounded = read_with(2);
  const result unbounded = read_with(std::numeric_limits<std::size_t>::max());
  std::printf("bounded:   %s\nunbounded: %s\n", bounded.trace.c_str(), unbounded.trace.c_str());
  const std::map<std::string, std::string> sent{{"a", std::string(300, 'a')},
                                                {"b", std::string(99, 'b')}};
  if (bounded.parts != sent || unbounded.parts != sent) return 1;
  return turns(unbounded.trace) == 0 && turns(bounded.trace) > 1 ? 0 : 1;
}
