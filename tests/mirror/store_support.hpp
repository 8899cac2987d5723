// SPDX-License-Identifier: MIT
// An archive store, asked step by step.
#pragma once

#include "support/policy.hpp"
#include "support/temp_repository.hpp"

#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/archive_store.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fermata::mirror::test {

namespace fs = std::filesystem;
using fermata::test::temp_folder;

// Of "hello".
inline const std::string md5 = "md5=5d41402abc4b2a76b9719d911017c592";
inline const std::string sha256 =
    "sha256=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
inline const std::string sha512 =
    "sha512=9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7"
    "2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043";

inline archive_hash hash(const std::string& text) { return *archive_hash::parse(text); }

using store_ptr = std::unique_ptr<archive_store>;

inline promise<> open_into(store_ptr& store, std::string folder, store_options options) {
  promise<store_ptr> opening = archive_store::open(std::move(folder), options);
  store = co_await std::move(opening);
}

inline store_ptr open(event_loop& loop, const fs::path& folder, store_options options = {}) {
  store_ptr store;
  loop.run([&] { return open_into(store, folder.string(), options); });
  return store;
}

inline promise<stored_archive> put(archive_store& store,
                                   std::vector<std::string> pieces,
                                   std::vector<archive_hash> declared) {
  promise<archive_store::writer> beginning = store.begin();
  archive_store::writer w = co_await std::move(beginning);
  for (std::string& p : pieces) {
    promise<> writing = w.write(http::shared_bytes(std::move(p)));
    co_await writing;
  }
  promise<stored_archive> finishing = w.finish(std::move(declared));
  co_return co_await std::move(finishing);
}

// What came of it: its size, or the error.
inline std::string put_in(event_loop& loop,
                          archive_store& store,
                          std::vector<std::string> pieces,
                          const std::vector<std::string>& declared) {
  std::vector<archive_hash> hashes;
  for (const std::string& d : declared) hashes.push_back(hash(d));
  std::string said;
  try {
    loop.run([&]() -> promise<> {
      return put(store, pieces, hashes).map([&said](const stored_archive& a) {
        said = std::to_string(a.size);
      });
    });
  } catch (const std::exception& e) {
    said = e.what();
  }
  return said;
}

inline check_report check(event_loop& loop, archive_store& store, check_of which = check_of::all) {
  check_report report;
  loop.run([&]() -> promise<> {
    return store.check(0, {}, which).map([&report](const check_report& r) { report = r; });
  });
  return report;
}

inline std::size_t collect(event_loop& loop, archive_store& store, bool named, int now) {
  std::size_t removed = 0;
  loop.run([&]() -> promise<> {
    return store
        .collect([named](const stored_archive&) { return named; }, std::chrono::seconds(100),
                 std::chrono::sys_seconds(std::chrono::seconds(now)))
        .map([&removed](std::size_t n) { removed = n; });
  });
  return removed;
}

inline std::size_t files_in(const fs::path& folder) {
  if (!fs::exists(folder)) return 0;
  return static_cast<std::size_t>(
      std::count_if(fs::recursive_directory_iterator(folder), {},
                    [](const fs::directory_entry& e) { return e.is_regular_file(); }));
}

}  // namespace fermata::mirror::test
