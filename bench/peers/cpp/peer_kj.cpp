// SPDX-License-Identifier: MIT
// The cases of fermata-bench on KJ, as its users write them: chains of `then`.

#include "hog_work.hpp"
#include "peer.hpp"
#include "sort_work.hpp"

#include <kj/async-io.h>
#include <kj/async.h>
#include <kj/compat/http.h>
#include <kj/timer.h>
#include <kj/vector.h>

#include <utility>

namespace {

using bench::numbers;
using bench::settings;

struct context {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::WaitScope& scope = io.waitScope;
  // I/O is looked at after so many events; KJ's default is never while there are events.
  explicit context(kj::uint busy_poll = kj::maxValue) { scope.setBusyPollInterval(busy_poll); }
};

kj::Promise<long> count_down(long n, long sum) {
  if (n == 0) return sum;
  return kj::Promise<long>(1L).then(
      [n, sum](long value) { return count_down(n - 1, sum + value); });
}

kj::Promise<long> chain(kj::Promise<long> head, long n) {
  for (long i = 0; i < n; ++i) head = head.then([](long value) { return value + 1; });
  return head;
}

void settled(const settings& s) {
  constexpr long n = 1000;
  context loop;
  bench::print_figure("c1_resolve_bind", "ns", bench::ns_an_operation(s, n, [&] {
                        bench::require(count_down(n, 0).wait(loop.scope) == n, "c1: the sum");
                      }));
  bench::print_figure("c1_bind", "ns", bench::ns_an_operation(s, n, [&] {
                        bench::require(chain(0L, n).wait(loop.scope) == n, "c1: the sum");
                      }));
  bench::print_figure("c1_chain1000", "ns", bench::ns_an_operation(s, n, [&] {
                        auto made = kj::newPromiseAndFulfiller<long>();
                        kj::Promise<long> end = chain(kj::mv(made.promise), n);
                        made.fulfiller->fulfill(0);
                        bench::require(end.wait(loop.scope) == n, "c1: the sum");
                      }));
}

void pending(const settings& s) {
  constexpr int at_once = 64;
  constexpr int rounds = 20;
  context loop;
  long sum = 0;
  std::vector<kj::Own<kj::PromiseFulfiller<int>>> settle(at_once);
  std::vector<kj::Promise<void>> waiting;
  const auto one_round = [&] {
    for (auto& fulfiller : settle) {
      auto made = kj::newPromiseAndFulfiller<int>();
      waiting.push_back(
          made.promise.then([&sum](int value) { sum += value; }).eagerlyEvaluate(nullptr));
      fulfiller = kj::mv(made.fulfiller);
    }
    for (auto& fulfiller : settle) fulfiller->fulfill(1);
    for (auto& p : waiting) p.wait(loop.scope);
    waiting.clear();
  };
  bench::print_figure("c2_pending_bind", "ns",
                      bench::ns_an_operation(s, std::size_t{at_once} * rounds, [&] {
                        for (int i = 0; i < rounds; ++i) one_round();
                      }));
  bench::require(sum % at_once == 0, "c2: every promise counts one");
}

kj::Promise<void> pause_often(long n) {
  if (n == 0) return kj::READY_NOW;
  return kj::evalLast([n] { return pause_often(n - 1); });
}

void pauses(const settings& s) {
  constexpr long alone = 1000;
  constexpr std::size_t tasks = 1000;
  constexpr long each = 50;
  {
    context loop(1);
    bench::print_figure("c3_pause1", "ns", bench::ns_an_operation(s, alone, [&] {
                          pause_often(alone).wait(loop.scope);
                        }));
  }
  context loop;
  bench::print_figure("c3_pause1000", "ns", bench::ns_an_operation(s, tasks * each, [&] {
                        kj::Vector<kj::Promise<void>> all(tasks);
                        for (std::size_t i = 0; i < tasks; ++i) all.add(pause_often(each));
                        kj::joinPromises(all.releaseAsArray()).wait(loop.scope);
                      }));
}

kj::Promise<numbers> sort_task(numbers all, bool yields) {
  if (all.size() < 2) return all;
  auto [left, right] = bench::halve(all);
  kj::Vector<kj::Promise<numbers>> halves(2);
  halves.add(sort_task(std::move(left), yields));
  halves.add(sort_task(std::move(right), yields));
  kj::Promise<kj::Array<numbers>> both = kj::joinPromises(halves.releaseAsArray());
  if (!yields) {
    return both.then([](kj::Array<numbers> sorted) { return bench::merge(sorted[0], sorted[1]); });
  }
  return both.then([](kj::Array<numbers> sorted) {
    return kj::evalLast([s = kj::mv(sorted)] { return bench::merge(s[0], s[1]); });
  });
}

void sort(const settings& s) {
  for (const bool yields : {false, true}) {
    context loop(yields ? 1 : static_cast<kj::uint>(kj::maxValue));
    bench::print_sort_ratios(s, yields ? "c4_ratioy" : "c4_ratio",
                             [&](const numbers& input, std::size_t times) {
                               numbers sorted;
                               for (std::size_t i = 0; i < times; ++i) {
                                 sorted = sort_task(input, yields).wait(loop.scope);
                               }
                               return sorted;
                             });
  }
}

void join(const settings& s) {
  constexpr std::size_t members = 1000;
  context loop;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> settle(members);
  bench::print_figure("c5_join1000", "ns", bench::ns_an_operation(s, members, [&] {
                        kj::Vector<kj::Promise<void>> all(members);
                        for (auto& fulfiller : settle) {
                          auto made = kj::newPromiseAndFulfiller<void>();
                          all.add(kj::mv(made.promise));
                          fulfiller = kj::mv(made.fulfiller);
                        }
                        kj::Promise<void> joined = kj::joinPromises(all.releaseAsArray());
                        for (auto& fulfiller : settle) fulfiller->fulfill();
                        joined.wait(loop.scope);
                      }));
}

void sleepers(const settings& s) {
  constexpr std::size_t count = 100'000;
  context loop;
  kj::Timer& timer = loop.io.provider->getTimer();
  std::vector<double> create;
  std::vector<double> cancel;
  double bytes = 0;
  bench::repeat(s, [&](bool measures) {
    std::vector<kj::Maybe<kj::Promise<void>>> tasks(count);
    const auto before = static_cast<double>(bench::resident_bytes());
    const double created = bench::seconds_of([&] {
      for (auto& t : tasks) {
        t = timer.afterDelay(1 * kj::HOURS).then([] {}).eagerlyEvaluate(nullptr);
      }
    });
    if (bytes == 0) bytes = (static_cast<double>(bench::resident_bytes()) - before) / count;
    const double cancelled = bench::seconds_of([&] {
      for (auto& t : tasks) t = nullptr;
    });
    if (!measures) return;
    create.push_back(created * 1e9 / count);
    cancel.push_back(cancelled * 1e9 / count);
  });
  bench::print_figure("c9_create", "ns", bench::median(std::move(create)));
  bench::print_figure("c9_cancel", "ns", bench::median(std::move(cancel)));
  bench::print_figure("c9_bytes", "B", bytes);
}

kj::Promise<void> hog(bench::pieces& left) {
  if (!left.hold_next()) return kj::READY_NOW;
  return kj::evalLast([&left] { return hog(left); });
}

kj::Promise<void> tick(kj::Timer& timer, bench::tick_log& ticks) {
  while (ticks.is_due()) ticks.note();
  const auto wait =
      std::chrono::duration_cast<std::chrono::nanoseconds>(ticks.due() - bench::clock::now());
  // now() stands still while events run: the clock itself says when.
  const kj::TimePoint due =
      kj::systemPreciseMonotonicClock().now() + wait.count() * kj::NANOSECONDS;
  return timer.atTime(due).then([&timer, &ticks] {
    if (ticks.is_due()) ticks.note();
    return tick(timer, ticks);
  });
}

void run_hogs(const settings& s, const char* prefix, unsigned hogs) {
  const bench::nanoseconds work = bench::work_of(s);
  context loop(1);
  bench::tick_log ticks;
  kj::Promise<void> ticker = tick(loop.io.provider->getTimer(), ticks).eagerlyEvaluate(nullptr);
  std::vector<bench::pieces> shares;
  for (unsigned i = 0; i < hogs; ++i) shares.emplace_back(work / hogs, i + 1);
  kj::Vector<kj::Promise<void>> all(hogs);
  for (bench::pieces& share : shares) all.add(kj::evalLast([&share] { return hog(share); }));
  kj::joinPromises(all.releaseAsArray()).wait(loop.scope);
  ticks.print(prefix, work);
}

void one_hog(const settings& s) { run_hogs(s, "c12", 1); }
void many_hogs(const settings& s) { run_hogs(s, "c12m", 20); }

// ---- servers ----

void say_ready() {
  std::puts("ready");
  std::fflush(stdout);
}

struct echo_client {
  kj::Own<kj::AsyncIoStream> stream;
  kj::byte buffer[4096];

  kj::Promise<void> run() {
    return stream->tryRead(buffer, 1, sizeof buffer).then([this](size_t n) -> kj::Promise<void> {
      if (n == 0) return kj::READY_NOW;
      return stream->write(buffer, n).then([this] { return run(); });
    });
  }
};

struct ignored_errors : kj::TaskSet::ErrorHandler {
  void taskFailed(kj::Exception&&) override {}  // a client that goes away disturbs nobody
};

kj::Promise<void> accept_all(kj::ConnectionReceiver& from, kj::TaskSet& clients) {
  return from.accept().then([&from, &clients](kj::Own<kj::AsyncIoStream> stream) {
    const int on = 1;
    stream->setsockopt(6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &on, sizeof on);
    auto client = kj::heap<echo_client>();
    client->stream = kj::mv(stream);
    kj::Promise<void> talk = client->run();
    clients.add(talk.attach(kj::mv(client)));
    return accept_all(from, clients);
  });
}

kj::Own<kj::ConnectionReceiver> listen(context& loop, std::uint16_t port) {
  auto receiver =
      loop.io.provider->getNetwork().parseAddress("127.0.0.1", port).wait(loop.scope)->listen();
  say_ready();
  return receiver;
}

void serve_echo(std::uint16_t port) {
  context loop;
  auto receiver = listen(loop, port);
  ignored_errors errors;
  kj::TaskSet clients(errors);
  accept_all(*receiver, clients).wait(loop.scope);
}

class hello final : public kj::HttpService {
public:
  explicit hello(kj::HttpHeaderTable& table)
      : table_(table), one_k_(kj::str(std::string(1024, 'k').c_str())) {}
  kj::Promise<void> request(kj::HttpMethod,
                            kj::StringPtr url,
                            const kj::HttpHeaders&,
                            kj::AsyncInputStream&,
                            Response& response) override {
    const kj::StringPtr body =
        url == "/1k" ? kj::StringPtr(one_k_) : kj::StringPtr("Hello, World!");
    kj::HttpHeaders headers(table_);
    headers.set(kj::HttpHeaderId::CONTENT_TYPE, "text/plain");
    auto stream = response.send(200, "OK", headers, body.size());
    kj::Promise<void> written = stream->write(body.begin(), body.size());
    return written.attach(kj::mv(stream));
  }

private:
  kj::HttpHeaderTable& table_;
  kj::String one_k_;
};

void serve_http(std::uint16_t port) {
  context loop;
  auto receiver = listen(loop, port);
  kj::HttpHeaderTable table;
  hello service(table);
  kj::HttpServer server(loop.io.provider->getTimer(), table, service);
  server.listenHttp(*receiver).wait(loop.scope);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_peer(argc, argv,
                         {{"c1", settled},
                          {"c2", pending},
                          {"c3", pauses},
                          {"c4", sort},
                          {"c5", join},
                          {"c9", sleepers},
                          {"c12", one_hog},
                          {"c12m", many_hogs}},
                         {{"serve-echo", serve_echo}, {"serve-http", serve_http}});
}
