// SPDX-License-Identifier: MIT
// Tells ThreadSanitizer how threads share an exception. The count of an exception_ptr is atomic,
// but in libstdc++.so, which is not instrumented: an exception that crosses threads, and is let go
// last by another thread than the one that read it, would be reported as a race of its end. Linked
// into every program of a build with -fsanitize=thread, in front of the two functions of libstdc++
// that let an exception go.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <exception>

namespace {

// The counting of all that let go is one order, in which the last comes after the others.
void let_go(void* exception) {
  if (exception == nullptr) return;
  __tsan_release(exception);
  __tsan_acquire(exception);
}

template <typename Function>
Function real_one(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void std::__exception_ptr::exception_ptr::_M_release() noexcept {
  static const auto real =
      real_one<void (*)(exception_ptr*)>("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
  let_go(_M_exception_object);
  real(this);
}

extern "C" void __cxa_end_catch() {
  static const auto real = real_one<void (*)()>("__cxa_end_catch");
  if (const auto caught = std::current_exception(); caught != nullptr) {
    // An exception_ptr is a pointer to the exception, and nothing else.
    static_assert(sizeof caught == sizeof(void*));
    let_go(*reinterpret_cast<void* const*>(&caught));
  }
  real();
}
