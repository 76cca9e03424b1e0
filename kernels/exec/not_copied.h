#pragma once

namespace sllmr {

/// A base of classes that own something, or that others point to: neither copied nor moved.
struct NotCopied {
  NotCopied() = default;
  NotCopied(const NotCopied&) = delete;
  NotCopied& operator=(const NotCopied&) = delete;
};

}  // namespace sllmr
