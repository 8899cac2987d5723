// SPDX-License-Identifier: MIT
#include <fermata/mirror/opam_sources.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace fermata::mirror;

namespace {

const std::string md5 = "0123456789abcdef0123456789abcdef";
const std::string sha256 = md5 + md5;
const std::string sha512 = sha256 + sha256;

// One word a source: url, hashes, mirrors.
std::string told(const opam_sources& read) {
  std::string text;
  for (const opam_source& s : read.sources) {
    if (!text.empty()) text += "; ";
    text += (s.is_extra ? "extra " : "") + s.url;
    for (const archive_hash& h : s.hashes) text += " " + std::string(to_string(h.kind()));
    for (const std::string& m : s.mirrors) text += " or " + m;
  }
  for (const std::string& f : read.faults) text += " | " + f;
  return text;
}
std::string told(std::string_view text) { return told(read_opam_sources(text)); }

std::string url(std::string_view fields) { return "url {\n" + std::string(fields) + "\n}\n"; }

}  // namespace

TEST_CASE("an opam file's sources are read in every spelling", "[mirror][opam]") {
  CHECK(told(url("src: \"https://a/b.tgz\"\nchecksum: \"" + md5 + "\"")) == "https://a/b.tgz md5");
  CHECK(told(url("archive: \"http://a\" checksum: [\"md5=" + md5 + "\" \"SHA256=" + sha256 +
                 "\" \"sha512=" + sha512 + "\"]")) == "http://a md5 sha256 sha512");
  CHECK(told(url("checksum: [ \"md5=" + md5 + "\" \"" + md5 + "\" ]\nhttp: \"ftp://a#b\"")) ==
        "ftp://a md5");
  CHECK(told(url("src: \"\"\"https://a\"\"\" mirrors: [\"http://b\" "
                 "\"https://swhid.opam.ocaml.org/swh:1:x\" \"http://c#d\"]")) ==
        "https://a or http://b or http://c");
  CHECK(told(url("mirrors: \"http://b\" src: \"https://\\065\"")) == "https://A or http://b");
  CHECK(told("extra-source \"x.patch\" { src: \"https://x\" checksum: \"md5=" + md5 + "\" }\n" +
             url("src: \"https://a\"")) == "extra https://x md5; https://a");
  CHECK(told("extra-sources: [[\"http://x\" \"" + md5 + "\"] [\"http://y\" \"" + md5 + "\"]]") ==
        "extra http://x md5; extra http://y md5");
  CHECK(told("src: \"http://old\" checksum: \"" + md5 + "\"") == "http://old md5");  // a file url
}

TEST_CASE("what only looks like a source is none", "[mirror][opam]") {
  CHECK(told("description: \"\"\"\nurl { src: \"http://a\" }\"\"\"\n# url { src: \"b\" }\n"
             "(* url { (* src: \"c\" *) } *)\nx { url { src: \"d\" } src: \"e\" }\n"
             "dev-repo: \"git+https://f\"\nbuild: [[\"url\" {src = \"g\"}]]\n") == "");
}

TEST_CASE("a package is unavailable where it says so literally", "[mirror][opam]") {
  CHECK_FALSE(read_opam_sources("available: false").is_available);
  CHECK_FALSE(read_opam_sources("available: [false]").is_available);
  CHECK_FALSE(read_opam_sources("available: (false)").is_available);
  CHECK(read_opam_sources("available: \"false\"").is_available);
  CHECK(read_opam_sources("available: false & os = \"linux\"").is_available);
  CHECK(read_opam_sources("available: true").is_available);
}

TEST_CASE("a URL's kind is told by its scheme and its end", "[mirror][opam]") {
  CHECK(kind_of_url("https://a/x.tar.gz") == source_kind::archive);
  CHECK(kind_of_url("ftp://a/x.tar.gz") == source_kind::archive);
  CHECK(kind_of_url("file:///etc/passwd") == source_kind::file);
  for (const char* u : {"git+https://a/b", "git://a/b", "git@a:b", "https://a/b.git", "ssh://a",
                        "hg+http://a", "darcs+http://a", "https://a/b.hg/"}) {
    CHECK(kind_of_url(u) == source_kind::version_control);
  }
  CHECK(kind_of_url("rsync://a") == source_kind::other);
  CHECK(kind_of_url("../x") == source_kind::other);
  CHECK(read_opam_sources(url("git: \"https://a\"")).sources.at(0).kind ==
        source_kind::version_control);
}

TEST_CASE("a bad line is reported with its place and the rest is read", "[mirror][opam]") {
  const std::string rest = url("src: \"https://a\"\nchecksum: \"md5=" + md5 + "\"");
  const std::string good = "https://a md5";
  CHECK(told("a: 1\n@@@\n" + rest) == good + " | 2:1: a byte that begins no token");
  CHECK(told("a:\n" + rest) == good + " | 3:4: a value should stand here");
  CHECK(told("a: [\n  \"x\"\n" + rest) == good + " | 4:4: a value should stand here");
  CHECK(told("a: [1 &]\n" + rest) == good + " | 1:8: a value should stand here");
  CHECK(told("a: \"\\q\"\n" + rest) == good + " | 1:5: unknown escape in a string");
  CHECK(told("a \"b\" c\n" + rest) == good + " | 1:7: ':' or '{' should stand here");
  CHECK(told("}\n" + rest) == good + " | 1:1: a field's name should stand here");
  CHECK(told(rest + "x {\n") == good + " | 6:1: section without an end");
  CHECK(told(rest + "a: \"open\n") == good + " | 5:4: string without an end");
  CHECK(told(rest + "(* (* *)") == good + " | 5:1: comment without an end");
}

TEST_CASE("a bad line within a section leaves the others", "[mirror][opam]") {
  const std::string sum = "  checksum: \"md5=" + md5 + "\"";
  CHECK(told(url("  src: \"https://a\"\n  @\n" + sum)) ==
        "https://a md5 | 3:3: a byte that begins no token");
  CHECK(told(url("  src \"https://a\"\n" + sum) + "a: 1\n") ==
        " | 3:3: ':' or '{' should stand here");
  CHECK(told(url("  mirrors: [ \"http://m\"\n  src: \"https://a\"\n" + sum)) ==
        "https://a md5 | 3:6: a value should stand here");
}

TEST_CASE("a wrong value is a fault, and the others count", "[mirror][opam]") {
  CHECK(told(url("src: \"https://a\" checksum: [\"md5=12\" \"" + md5 + "\"]")) ==
        "https://a md5 | 2:29: no checksum: md5, sha256 or sha512 in hexadecimal digits");
  CHECK(told(url("src: [\"https://a\"]")) == " | 2:6: one string should stand here");
  CHECK(told(url("src: \"https://a b\"")) == " | 2:6: a URL with a space");
  CHECK(told(url("src: \"https://a\\tb\"")) == " | 2:6: a URL with a control character");
  CHECK(told(url("src: \"\"")) == " | 2:6: an empty URL");
  CHECK(told(url("src: \"https://a/" + std::string(8192, 'b') + "\"")) ==
        " | 2:6: a URL of over 8192 bytes");
  CHECK(told(url("src: \"https://a\" mirrors: [\"https://a b\"]")) ==
        "https://a | 2:28: a URL with a space");
  CHECK(told("extra-sources: [[\"http://x y\" \"" + md5 + "\"]]") == " | 1:18: a URL with a space");
  CHECK(told(url("src: \"https://a\" archive: \"https://b\"")) == "https://a | 2:18: a second URL");
  CHECK(told(url("src: \"https://a\"") + url("src: \"https://b\"")) ==
        "https://a | 4:1: a second section url");
  CHECK(told("extra-source { src: \"https://a\" }") ==
        "extra https://a | 1:1: extra-source has no name");
  CHECK(told(url("src: \"https://a\" checksum: [x]")) ==
        "https://a | 2:29: a string should stand here");
  CHECK(told("extra-sources: [[\"http://x\"]]") ==
        " | 1:18: a URL and a checksum should stand here");
}

TEST_CASE("a file of faults is given up", "[mirror][opam]") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "a: @\n";
  CHECK(read_opam_sources(text).faults.size() == most_opam_faults);
}

TEST_CASE("a checksum has three spellings of one value", "[mirror][opam]") {
  const auto hash = archive_hash::parse("SHA256=" + sha256);
  REQUIRE(hash);
  CHECK(hash->text() == "sha256=" + sha256);
  CHECK(hash->path() == "sha256/01/" + sha256);
  CHECK(archive_hash::parse(md5)->kind() == hash_kind::md5);
  CHECK(archive_hash::from_path("sha256", sha256) == hash);
  std::string upper = sha256;
  upper[10] = 'A';
  CHECK(archive_hash::parse("sha256=" + upper));
  CHECK_FALSE(archive_hash::from_path("sha256", upper));
  CHECK_FALSE(archive_hash::from_path("SHA256", sha256));
  CHECK_FALSE(archive_hash::parse("sha1=" + md5));
  CHECK_FALSE(archive_hash::parse("md5=" + sha256));
  CHECK_FALSE(archive_hash::parse("md5=" + md5.substr(1) + "g"));
}
