// SPDX-License-Identifier: MIT
#include "clone_over.hpp"
#include "transport.hpp"

#include <fermata/git_mem/clone.hpp>

#include <utility>

namespace fermata::git_mem {

namespace detail {

promise<clone_result> receive_from(const remote_url& url,
                                   const clone_options& options,
                                   snapshot_ptr known) {
  if (options.on_progress) options.on_progress(clone_progress());
  promise<connection> connecting = connect(url, git_service::upload_pack, options.remote);
  connection to = co_await std::move(connecting);
  promise<clone_result> received = clone_unnamed(to.stream(), url, options, std::move(known));
  promise<clone_result> explained = or_explained(to, std::move(received));
  co_return co_await std::move(explained);
}

}  // namespace detail

promise<clone_result> clone(std::string url, clone_options options) {
  const remote_url parsed = remote_url::parse(url);
  promise<clone_result> cloned = detail::receive_from(parsed, options);
  try {
    co_return co_await std::move(cloned);
  } catch (const error& e) {
    throw detail::remote_failure("clone", parsed, e);
  }
}

}  // namespace fermata::git_mem
