#include "host/base/listener.h"

#include <atomic>

namespace sllmr {
namespace {

std::atomic<Listener*> current{nullptr};

}  // namespace

Listening::Listening(Listener& listener) {
  current = &listener;
}

Listening::~Listening() {
  current = nullptr;
}

Listener* listener() {
  return current;
}

}  // namespace sllmr
