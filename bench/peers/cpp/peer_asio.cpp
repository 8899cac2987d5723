// SPDX-License-Identifier: MIT
// The cases of fermata-bench on Boost.Asio, one thread, as its users write them: coroutines where
// they fit, completion handlers where those are the cheaper way.

#include "hog_work.hpp"
#include "peer.hpp"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <deque>
#include <optional>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::awaitable;
using asio::use_awaitable;
using bench::settings;
using tcp = asio::ip::tcp;
using namespace std::chrono_literals;

// A context of one thread, without locks.
struct context : asio::io_context {
  context() : asio::io_context(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO) {}
  void run_all() {
    restart();
    run();
  }
};

awaitable<int> one() { co_return 1; }

awaitable<void> await_often(std::size_t n, long& sum) {
  for (std::size_t i = 0; i < n; ++i) {
    const int value = co_await one();
    sum += value;
  }
}

void settled(const settings& s) {
  constexpr std::size_t n = 10'000;
  context loop;
  long sum = 0;
  bench::print_figure("c1_resolve_bind", "ns", bench::ns_an_operation(s, n, [&] {
                        asio::co_spawn(loop, await_often(n, sum), asio::detached);
                        loop.run_all();
                      }));
  bench::require(sum % static_cast<long>(n) == 0, "c1: every step counts one");
}

// A handler that is posted is what Asio has of a promise that is bound and then resolved.
void pending(const settings& s) {
  constexpr int at_once = 64;
  constexpr int rounds = 50;
  context loop;
  long sum = 0;
  bench::print_figure("c2_pending_bind", "ns",
                      bench::ns_an_operation(s, std::size_t{at_once} * rounds, [&] {
                        for (int i = 0; i < rounds; ++i) {
                          for (int k = 0; k < at_once; ++k) asio::post(loop, [&sum] { ++sum; });
                          loop.run_all();
                        }
                      }));
  bench::require(sum % at_once == 0, "c2: every handler counts one");
}

awaitable<void> pause_often(context& loop, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) co_await asio::post(loop, use_awaitable);
}

void pauses(const settings& s) {
  constexpr std::size_t alone = 1000;
  constexpr std::size_t tasks = 1000;
  constexpr std::size_t each = 50;
  context loop;
  tcp::acceptor watched(loop, {asio::ip::address_v4::loopback(), 0});  // I/O to look at
  watched.async_accept([](beast::error_code, tcp::socket) {});
  int running = 0;
  const auto start = [&](std::size_t n) {
    ++running;
    asio::co_spawn(loop, pause_often(loop, n), [&](std::exception_ptr) { --running; });
  };
  const auto run_until_done = [&] {
    loop.restart();
    while (running > 0) loop.run_one();
  };
  bench::print_figure("c3_pause1", "ns", bench::ns_an_operation(s, alone, [&] {
                        start(alone);
                        run_until_done();
                      }));
  bench::print_figure("c3_pause1000", "ns", bench::ns_an_operation(s, tasks * each, [&] {
                        for (std::size_t i = 0; i < tasks; ++i) start(each);
                        run_until_done();
                      }));
}

// Asio 1.74 has no channel: a queue whose ends wait by completion handlers.
class queue {
  using handler = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;

  auto wait(std::optional<handler>& place) {
    return asio::async_initiate<decltype(use_awaitable), void()>(
        [&place](auto&& h) { place.emplace(std::forward<decltype(h)>(h)); }, use_awaitable);
  }

public:
  queue(context& loop, std::size_t capacity) : loop_(loop), capacity_(capacity) {}

  awaitable<void> send(long item) {
    while (items_.size() >= capacity_) co_await wait(sender_);
    items_.push_back(item);
    wake(receiver_);
  }
  awaitable<long> receive() {
    while (items_.empty()) co_await wait(receiver_);
    const long item = items_.front();
    items_.pop_front();
    wake(sender_);
    co_return item;
  }

private:
  void wake(std::optional<handler>& place) {
    if (!place) return;
    asio::post(loop_, std::move(*place));
    place.reset();
  }

  context& loop_;
  std::size_t capacity_;
  std::deque<long> items_;
  std::optional<handler> sender_;
  std::optional<handler> receiver_;
};

constexpr long items = 2000;

awaitable<void> produce(queue& to) {
  for (long i = 0; i < items; ++i) co_await to.send(i);
}
awaitable<void> consume(queue& from, long& sum) {
  for (long i = 0; i < items; ++i) {
    const long item = co_await from.receive();
    sum += item;
  }
}

void queueing(const settings& s) {
  for (const std::size_t capacity : {std::size_t{1}, std::size_t{64}}) {
    context loop;
    bench::print_figure(capacity == 1 ? "c6_q1" : "c6_q64", "ns",
                        bench::ns_an_operation(s, items, [&] {
                          queue q(loop, capacity);
                          long sum = 0;
                          asio::co_spawn(loop, consume(q, sum), asio::detached);
                          asio::co_spawn(loop, produce(q), asio::detached);
                          loop.run_all();
                          bench::require(sum == items * (items - 1) / 2, "c6: all items arrive");
                        }));
  }
}

// To a pool of two threads and back, by handlers.
struct detaching {
  asio::io_context loop{1};
  asio::thread_pool pool{2};
  long ended = 0;

  void run_in_turn(long jobs) {
    if (jobs == 0) return;
    auto back = asio::make_work_guard(loop);
    asio::post(pool, [this, jobs, back = std::move(back)] {
      const long result = jobs - 1;
      asio::post(loop, [this, result] {
        ++ended;
        run_in_turn(result);
      });
    });
  }
  double time(const settings& s, long lanes, long each) {
    return bench::ns_an_operation(s, static_cast<std::size_t>(lanes * each), [&] {
      ended = 0;
      loop.restart();
      for (long i = 0; i < lanes; ++i) run_in_turn(each);
      loop.run();
      bench::require(ended == lanes * each, "c7: every job has run");
    });
  }
};

void detach(const settings& s) {
  detaching d;
  bench::print_figure("c7_lat", "us", d.time(s, 1, 200) / 1e3);
  bench::print_figure("c7_pipe64", "jobs/s", 1e9 / d.time(s, 64, 200));
}

struct sleeper {
  explicit sleeper(context& loop) : timer(loop, 1h) {}
  awaitable<void> run() {
    boost::system::error_code error;  // no exception: a cancel is no surprise here
    co_await timer.async_wait(asio::redirect_error(use_awaitable, error));
  }
  asio::steady_timer timer;
};

void sleepers(const settings& s) {
  constexpr std::size_t count = 100'000;
  context loop;
  std::vector<double> create;
  std::vector<double> cancel;
  double bytes = 0;
  bench::repeat(s, [&](bool measures) {
    std::vector<std::optional<sleeper>> tasks(count);
    const auto before = static_cast<double>(bench::resident_bytes());
    loop.restart();
    const double created = bench::seconds_of([&] {
      for (auto& t : tasks) {
        t.emplace(loop);
        asio::co_spawn(loop, t->run(), asio::detached);
      }
      loop.poll();
    });
    const double timers = sizeof(std::optional<sleeper>);  // they stand in `tasks`
    if (bytes == 0) {
      bytes = timers + (static_cast<double>(bench::resident_bytes()) - before) / count;
    }
    const double cancelled = bench::seconds_of([&] {
      for (auto& t : tasks) t->timer.cancel();
      loop.run();
    });
    if (!measures) return;
    create.push_back(created * 1e9 / count);
    cancel.push_back(cancelled * 1e9 / count);
  });
  bench::print_figure("c9_create", "ns", bench::median(std::move(create)));
  bench::print_figure("c9_cancel", "ns", bench::median(std::move(cancel)));
  bench::print_figure("c9_bytes", "B", bytes);
}

awaitable<void> hog(context& loop, bench::nanoseconds work, unsigned seed, unsigned& running) {
  for (bench::pieces left(work, seed); left.hold_next();) {
    co_await asio::post(loop, use_awaitable);
  }
  --running;
}

awaitable<void> tick(context& loop, bench::tick_log& ticks, const unsigned& running) {
  asio::steady_timer timer(loop);
  while (running > 0) {
    if (!ticks.is_due()) {
      timer.expires_at(ticks.due());
      co_await timer.async_wait(use_awaitable);
    }
    ticks.note();
  }
}

void run_hogs(const settings& s, const char* prefix, unsigned hogs) {
  const bench::nanoseconds work = bench::work_of(s);
  context loop;
  bench::tick_log ticks;
  unsigned running = hogs;
  asio::co_spawn(loop, tick(loop, ticks, running), asio::detached);
  for (unsigned i = 0; i < hogs; ++i) {
    asio::co_spawn(loop, hog(loop, work / hogs, i + 1, running), asio::detached);
  }
  loop.run_all();
  ticks.print(prefix, work);
}

void one_hog(const settings& s) { run_hogs(s, "c12", 1); }
void many_hogs(const settings& s) { run_hogs(s, "c12m", 20); }

// ---- servers ----

void say_ready() {
  std::puts("ready");
  std::fflush(stdout);
}

awaitable<void> echo(tcp::socket client) {
  std::array<char, 4096> buffer;
  try {
    client.set_option(tcp::no_delay(true));
    for (;;) {
      const std::size_t n = co_await client.async_read_some(asio::buffer(buffer), use_awaitable);
      co_await asio::async_write(client, asio::buffer(buffer, n), use_awaitable);
    }
  } catch (const boost::system::system_error&) {
    co_return;  // the client has gone
  }
}

http::response<http::string_body> answer(const http::request<http::empty_body>& r) {
  http::response<http::string_body> out(http::status::ok, r.version());
  out.set(http::field::content_type, "text/plain");
  if (r.target() == "/") {
    out.body() = "Hello, World!";
  } else if (r.target() == "/1k") {
    out.body() = std::string(1024, 'k');
  } else {
    out.result(http::status::not_found);
  }
  out.keep_alive(r.keep_alive());
  out.prepare_payload();
  return out;
}

awaitable<void> converse(tcp::socket client) {
  beast::flat_buffer buffer;
  try {
    client.set_option(tcp::no_delay(true));
    for (;;) {
      http::request<http::empty_body> request;
      co_await http::async_read(client, buffer, request, use_awaitable);
      const auto response = answer(request);
      http::response_serializer<http::string_body> serializer(response);
      co_await http::async_write(client, serializer, use_awaitable);
      if (!request.keep_alive()) co_return;
    }
  } catch (const boost::system::system_error&) {
    co_return;
  }
}

awaitable<void> accept_all(context& loop,
                           std::uint16_t port,
                           awaitable<void> (*talk)(tcp::socket)) {
  tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), port});
  say_ready();
  for (;;) {
    tcp::socket client = co_await acceptor.async_accept(use_awaitable);
    asio::co_spawn(loop, talk(std::move(client)), asio::detached);
  }
}

void serve(std::uint16_t port, awaitable<void> (*talk)(tcp::socket)) {
  context loop;
  asio::co_spawn(loop, accept_all(loop, port, talk), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  loop.run();
}

void serve_echo(std::uint16_t port) { serve(port, echo); }
void serve_http(std::uint16_t port) { serve(port, converse); }

}  // namespace

int main(int argc, char** argv) {
  return bench::run_peer(argc, argv,
                         {{"c1", settled},
                          {"c2", pending},
                          {"c3", pauses},
                          {"c6", queueing},
                          {"c7", detach},
                          {"c9", sleepers},
                          {"c12", one_hog},
                          {"c12m", many_hogs}},
                         {{"serve-echo", serve_echo}, {"serve-http", serve_http}});
}
