// SPDX-License-Identifier: MIT
// Children that are stopped by a hook of their scope.

#include <fermata/promise/buffered.hpp>
#include <fermata/promise/run_command.hpp>

namespace fermata {
namespace {

using process_ptr = std::shared_ptr<process>;

promise<process_ptr> spawn_shared(command c) {
  promise<process> starting = spawn(std::move(c));
  process started = co_await std::move(starting);
  co_return std::make_shared<process>(std::move(started));
}

// The scope ends only after this: also where the child was starting still.
promise<> stop_started(promise<process_ptr> starting, std::chrono::nanoseconds grace) {
  process_ptr child;
  try {
    child = co_await std::move(starting);
  } catch (...) {  // it has not started: whoever awaits it hears why
  }
  if (child == nullptr) co_return;
  promise<exit_status> stopped = child->stop(grace);
  co_await std::move(stopped);
}

// What is being started cannot be cancelled and gives a process: the cancel is remembered here.
promise<> hand_over(promise<process_ptr> starting,
                    resolver<process_ptr> settle,
                    std::shared_ptr<bool> is_cancelled) {
  try {
    process_ptr child = co_await starting;
    if (*is_cancelled) throw cancelled();
    settle.resolve(std::move(child));
  } catch (...) {
    settle.reject(std::current_exception());
  }
}

// ---- from start to end ----

struct run_state {
  run_state(command c, run_options o) : what(std::move(c)), options(std::move(o)) {}
  command what;
  run_options options;
  run_result result;
};
using state_ptr = std::shared_ptr<run_state>;

promise<> feed(process_ptr child, state_ptr s) {
  try {
    promise<> written = child->in().write(bytes_of(s->options.input));
    co_await std::move(written);
    promise<> end = child->in().shutdown();
    co_await std::move(end);
  } catch (const error& e) {
    if (e.code() != std::errc::broken_pipe) throw;  // the child does not want to know
  }
}

promise<> collect(byte_stream& from, std::size_t most, std::string& into) {
  buffered_reader reader(from);
  promise<std::string> all = reader.read_all(most);
  into = co_await std::move(all);
}

promise<> run_in(scope& s, state_ptr r) {
  promise<process_ptr> starting = spawn_in(s, r->what, r->options.grace);
  const process_ptr child = co_await std::move(starting);
  if (r->what.in == stdio::pipe) {
    s.fork([child, r] { return feed(child, r); });
  }
  if (r->what.out == stdio::pipe) {
    s.fork([child, r] {  // both live until it has settled
      return collect(child->out(), r->options.most_out_bytes, r->result.out);
    });
  }
  if (r->what.err == stdio::pipe) {
    s.fork([child, r] { return collect(child->err(), r->options.most_err_bytes, r->result.err); });
  }
  promise<exit_status> ended = child->wait();
  std::exception_ptr failure;
  try {
    const exit_status status = co_await std::move(ended);
    r->result.status = status;
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    // Here, not in the scope's hook: a reader whose bytes came before its cancel goes on, and ends
    // only with the child.
    promise<exit_status> stopped = child->stop(r->options.grace);
    co_await std::move(stopped);
    std::rethrow_exception(failure);
  }
  if (r->what.err == stdio::tail) r->result.err = child->error_tail();
}

}  // namespace

promise<std::shared_ptr<process>> spawn_in(scope& s, command c, std::chrono::nanoseconds grace) {
  promise<process_ptr> starting = spawn_shared(std::move(c));
  s.on_release([starting, grace] { return stop_started(starting, grace); });
  const auto is_cancelled = std::make_shared<bool>(false);
  auto made = make_task<process_ptr>([is_cancelled] { *is_cancelled = true; });
  static_cast<void>(hand_over(starting, std::move(made.settle), is_cancelled));
  return std::move(made.future);
}

promise<run_result> run_command(command c, run_options options) {
  if (c.in == stdio::pipe && options.input.empty()) c.in = stdio::null;
  const auto state = std::make_shared<run_state>(std::move(c), std::move(options));
  auto work = [state](scope& s) { return run_in(s, state); };
  promise<> whole = scope::run(std::move(work));
  co_await std::move(whole);
  co_return std::move(state->result);
}

}  // namespace fermata
