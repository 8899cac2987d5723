// SPDX-License-Identifier: MIT
#include <fermata/mirror/log_text.hpp>

#include <catch2/catch.hpp>

using namespace fermata;
using namespace fermata::mirror;

namespace {

std::string json_line(std::string_view message) {
  using std::chrono::milliseconds;
  return json_log_line(std::chrono::sys_time<milliseconds>(milliseconds(1787409630042)),
                       log_level::warn, "mirror", message);
}

}  // namespace

TEST_CASE("a log record in JSON has what a message ends with as members", "[mirror][log]") {
  CHECK(json_line("phase finished phase=walk ms=12") ==
        R"({"time":"2026-08-22T14:40:30.042Z","level":"warn","area":"mirror",)"
        R"("message":"phase finished","phase":"walk","ms":12})"
        "\n");
  CHECK_THAT(json_line("x a=0 b=0.5 c=1.2.3 d=007 e=1. f=.5 g=1234567890123456 h= i=97014be6"),
             Catch::Matchers::EndsWith(R"("a":0,"b":0.5,"c":"1.2.3","d":"007","e":"1.","f":".5",)"
                                       R"("g":"1234567890123456","h":"","i":"97014be6"})"
                                       "\n"));
}

TEST_CASE("a log record in JSON is valid whatever the message holds", "[mirror][log]") {
  CHECK_THAT(json_line("cannot read a=b: \"x\"\n\xff level=3"),
             Catch::Matchers::Contains(R"("level":"warn")") &&
                 Catch::Matchers::Contains(R"("message":"cannot read a=b: \"x\"\n)"));
}

TEST_CASE("a log record in text is one line", "[mirror][log]") {
  CHECK(log_line(log_format::text, log_level::info, "mirror", "a\nb\x1b[1m") ==
        "info mirror: a\\x0ab\\x1b[1m\n");
}
