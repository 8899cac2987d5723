// SPDX-License-Identifier: MIT
// An opam file of any bytes: it is read to its end, faults are counted, values are whole.

#include "replay.hpp"

#include <fermata/mirror/opam_sources.hpp>
#include <fermata/mirror/repo_file.hpp>

#include <cstdlib>
#include <string_view>

using namespace fermata::mirror;

std::vector<std::string> fuzz_seeds() {
  const std::string md5 = "0123456789abcdef0123456789abcdef";
  return {
      "opam-version: \"2.0\"\n# comment\n(* one (* two *) *)\nsynopsis: \"a \\065\\x41\\\n  b\"\n"
      "depends: [ \"x\" {>= \"1\" & !with-test | os = \"linux\"} (\"y\" | \"z\") ]\n"
      "available: false\nn: -12_0 x-m: src:foo+bar\n",
      "url {\n  src: \"https://a/b.tgz\"\n  mirrors: [\"http://c\"]\n  checksum: [\n    \"md5=" +
          md5 + "\"\n    \"sha256=" + md5 + md5 + "\"\n  ]\n}\n",
      "extra-source \"p\" { src: \"\"\"http://a\"\"\" checksum: \"" + md5 + "\" }\n",
      "extra-sources: [[\"http://a\" \"" + md5 + "\"]]\r\nurl { archive: \"http://b#c\" }\r\n",
      "a: [\n\"x\"\nb: 1\nurl {\n  src \"x\"\n  src: \"y://z\"\n= \n}\nx += 3 y =: 4",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const opam_sources read = read_opam_sources(text);
  if (read.faults.size() > most_opam_faults) std::abort();
  for (const opam_source& s : read.sources) {
    if (s.url.empty() || s.url.find('\n') != std::string::npos) std::abort();
    for (const archive_hash& h : s.hashes) {
      if (archive_hash::parse(h.text()) != h) std::abort();
    }
  }
  static_cast<void>(make_repo_file(text, repo_settings{"u", "s", {}}));
  return 0;
}
