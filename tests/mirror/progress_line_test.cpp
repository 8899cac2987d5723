// SPDX-License-Identifier: MIT
#include <fermata/mirror/progress_line.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace fermata::mirror;
using namespace std::chrono_literals;

namespace {

progress_status at(std::uint64_t done, std::string phase = "receive") {
  progress_status p;
  p.phase = std::move(phase);
  p.objects_done = done;
  p.objects_total = 42'156;
  p.bytes = 4'380'000;
  p.bytes_per_second = 21'600'000;
  p.elapsed = 1210ms;
  return p;
}

}  // namespace

TEST_CASE("a bar shows objects, bytes, rate and the time left", "[mirror][progress]") {
  CHECK(progress_bar(at(17'345), 120) ==
        "receive  [########------------]  41%  17,345 of 42,156 objects  4.4 MB  21.6 MB/s  1.7 s "
        "left");
  CHECK(progress_bar(at(42'156), 120) ==
        "receive  [####################] 100%  42,156 of 42,156 objects  4.4 MB  21.6 MB/s");
}

TEST_CASE("a bar of downloads counts archives", "[mirror][progress]") {
  batch_status b;
  CHECK_FALSE(progress_of(b).phase);
  b = {true, 30, 120, 5'000'000, 2000ms};
  CHECK(progress_bar(progress_of(b), 120) ==
        "download  [#####---------------]  25%  30 of 120 archives  5.0 MB  2.5 MB/s  6.0 s left");
}

TEST_CASE("a bar keeps within the terminal", "[mirror][progress]") {
  CHECK(progress_bar(at(17'345, "receive and analyse"), 80) ==
        "receive  [####--------]  41%  17,345 of 42,156 objects  4.4 MB  21.6 MB/s");
  CHECK(progress_bar(at(17'345), 40) == "receive  [####--------]  41%");
  CHECK(progress_bar(at(17'345), 0).empty());
}

TEST_CASE("a bar without a total shows what is known", "[mirror][progress]") {
  progress_status p;
  p.phase = "walk";
  p.objects_done = 12;
  CHECK(progress_bar(p, 120) == "walk  12 files");
  CHECK(progress_text(p) == "walk:  12 files");
  progress_status nothing;
  nothing.phase = "connect";
  CHECK(progress_bar(nothing, 120) == "connect ...");
  CHECK(progress_text(nothing) == "connect ...");
}

TEST_CASE("a line on a terminal overwrites itself and its rest", "[mirror][progress]") {
  progress_line line(30);
  CHECK(line.update(at(0), 0ms) == "\rreceive  [------------]   0%");
  CHECK(line.update(at(20'000), 50ms).empty());  // too soon
  CHECK(line.update(at(20'000), 150ms) == "\rreceive  [#####-------]  47%");
  CHECK(line.update(at(20'000), 1000ms).empty());  // nothing new
  progress_status p;
  p.phase = "walk";
  CHECK(line.update(p, 1100ms) == "\n\rwalk ...");
  p.phase = "index";
  CHECK(line.update(p, 1200ms) == "\rindex ...");  // over it
  CHECK(line.end() == "\n");
  CHECK(line.end().empty());
}

TEST_CASE("a log gets a line a second at most, and one a tenth", "[mirror][progress]") {
  progress_line line(0);
  CHECK(line.update(at(0), 0ms) ==
        "info mirror: progress phase=receive percent=0 objects=0 total=42156 bytes=4380000 "
        "bytes_per_second=21600000\n");
  CHECK(line.update(at(17'345), 500ms).empty());
  CHECK(line.update(at(17'345), 1000ms) ==
        "info mirror: progress phase=receive percent=41 objects=17345 total=42156 bytes=4380000 "
        "bytes_per_second=21600000 seconds_left=1.7\n");
  CHECK(line.update(at(17'400), 5000ms).empty());
  CHECK(line.update(at(42'156), 5100ms) ==
        "info mirror: progress phase=receive percent=100 objects=42156 total=42156 bytes=4380000 "
        "bytes_per_second=21600000\n");
  CHECK(line.update(at(42'156), 9000ms).empty());
  CHECK(line.end().empty());
}

TEST_CASE("without a phase there is nothing to show", "[mirror][progress]") {
  progress_line line(80);
  CHECK(line.update(progress_status(), 0ms).empty());
}
