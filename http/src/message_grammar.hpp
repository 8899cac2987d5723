// SPDX-License-Identifier: MIT
// The grammar of heads and chunks: Boost.Beast, made strict, behind a wall.
//
// Only message_grammar.cpp includes Beast. It is given whole elements - a head, a chunk line with
// what belongs to it, a part of a body - so that its own resumption is never used.
#pragma once

#include <fermata/http/request.hpp>
#include <fermata/http/request_parser.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace fermata::http::detail {

class strict_parser;  // the subclass of Beast's

struct chunk_line {
  std::uint64_t size = 0;           // 0: the last chunk, and the request is complete
  std::size_t extension_bytes = 0;  // also the trailer section's
};

class message_grammar {
public:
  message_grammar();
  ~message_grammar();

  /// Begins a request and reads its head, the block of `r`, up to and with the empty line.
  [[nodiscard]] parse_failure read_head(request& r, const parser_limits& limits);
  /// Reads a chunk line with the CRLF of the chunk before it, the last one with its trailers.
  [[nodiscard]] parse_failure read_chunk_line(std::string_view element, chunk_line& out);
  /// Takes a part of a sized body or of the data of a chunk.
  [[nodiscard]] parse_failure read_data(std::string_view data);

private:
  std::unique_ptr<strict_parser> parser_;
};

}  // namespace fermata::http::detail
