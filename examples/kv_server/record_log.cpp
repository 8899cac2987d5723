// SPDX-License-Identifier: MIT

#include "record_log.hpp"

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/pause.hpp>

#include <zlib.h>

#include <memory>

using fermata::promise;
using namespace std::chrono_literals;

namespace kv {
namespace {

constexpr std::size_t read_bytes = 1024 * 1024;

void add_number(std::string& to, std::uint32_t n) {
  for (int shift = 0; shift < 32; shift += 8) to += static_cast<char>(n >> shift);
}

std::uint32_t number_at(std::string_view text, std::size_t at) {
  std::uint32_t n = 0;
  for (int i = 3; i >= 0; --i) {
    n = n << 8 | static_cast<std::uint8_t>(text[at + static_cast<std::size_t>(i)]);
  }
  return n;
}

std::uint32_t checksum(std::string_view text) {
  const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
  return static_cast<std::uint32_t>(crc32(0, bytes, static_cast<uInt>(text.size())));
}

// How many bytes the first record has, as its header says; 0 where that cannot be.
std::size_t record_size(std::string_view header) {
  if (header.size() < record_log::header_bytes) return 0;
  const std::uint64_t size = std::uint64_t{number_at(header, 4)} + number_at(header, 8);
  return size > longest_line ? 0 : record_log::header_bytes + size;
}

// Takes the records that are whole, and gives how many bytes they have.
promise<std::uint64_t> play(fermata::buffered_reader& in, values& into) {
  std::uint64_t good = 0;
  for (;;) {
    const std::string_view header = co_await in.peek(record_log::header_bytes);
    const std::size_t size = record_size(header);
    if (size == 0) co_return good;
    const std::string_view ahead = co_await in.peek(size);
    if (ahead.size() < size) co_return good;
    const std::string_view record = ahead.substr(0, size);
    if (checksum(record.substr(4)) != number_at(record, 0)) co_return good;
    const std::uint32_t key_bytes = number_at(record, 4);
    const std::string_view content = record.substr(record_log::header_bytes);
    into[std::string(content.substr(0, key_bytes))] = content.substr(key_bytes);
    in.consume(size);
    good += size;
    co_await fermata::maybe_pause(5us);
  }
}

// A new file is safe when its directory is, too.
promise<> sync_directory_of(std::string path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "."
                                : slash == 0               ? "/"
                                                           : path.substr(0, slash);
  const fermata::file opened = co_await fermata::open_file(directory);
  co_await opened.sync();
}

}  // namespace

void add_record(std::string& records, std::string_view key, std::string_view value) {
  std::string rest;
  rest.reserve(8 + key.size() + value.size());
  add_number(rest, static_cast<std::uint32_t>(key.size()));
  add_number(rest, static_cast<std::uint32_t>(value.size()));
  rest.append(key).append(value);
  add_number(records, checksum(rest));
  records += rest;
}

promise<record_log> record_log::open(std::string path, values& into) {
  promise<fermata::file> opening = fermata::open_file(path, fermata::open_options::for_update());
  fermata::file opened = co_await std::move(opening);
  co_await sync_directory_of(path);
  const std::uint64_t size = co_await opened.size();
  fermata::file read_only = co_await fermata::open_file(path);
  const auto bytes = fermata::stream_of(std::move(read_only));
  fermata::buffered_reader reader(*bytes, read_bytes);
  const std::uint64_t good = co_await play(reader, into);
  if (size - good > most_group_bytes) {
    throw fermata::error("cannot open " + path + ": byte " + std::to_string(good) +
                         ": a damaged record, and " + std::to_string(size - good) +
                         " bytes behind it");
  }
  co_await opened.truncate(good);
  co_await opened.sync_data();
  co_return record_log(std::move(opened), good);
}

promise<> record_log::append(std::string_view records) {
  co_await file_.write_at(end_, fermata::bytes_of(records));
  co_await file_.sync_data();
  end_ += records.size();
}

}  // namespace kv
