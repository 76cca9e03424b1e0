#include "host/ask/thought.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "host/ask/thought_markers.h"
#include "host/base/json_text.h"

namespace sllmr {

using thoughts::Marker;

namespace {

constexpr int kMostDocuments = 32;  // JSON values that are looked at for the sake of a marker

}  // namespace

std::vector<std::pair<std::size_t, std::size_t>> answer_parts(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> parts;
  std::vector<const Marker*> open;            // thoughts within thoughts
  std::map<std::string, std::int64_t> depth;  // of `open`, by family
  bool silent = false;                        // in a channel that is no answer, or between messages
  bool channels = false;                      // the text has any
  std::size_t from = 0;                       // of the part of the answer that is being read
  std::size_t looked = 0;                     // no JSON value that begins before it holds the next marker
  int documents = 0;
  const auto thinking = [&] { return silent || !open.empty(); };
  const auto clear = [&] {
    open.clear();
    depth.clear();
  };
  /// The end of the whole JSON value that `marker` stands in; 0 where there is none.
  const auto document_around = [&](const Marker& marker) -> std::size_t {
    const std::string_view before = text.substr(0, marker.begin);
    for (looked = std::max(looked, from); documents < kMostDocuments;) {
      const std::size_t at = before.find_first_of("{[", looked);
      looked = at == text.npos ? marker.begin : at + 1;
      if (at == text.npos) break;
      ++documents;
      const std::size_t end = json_end(text, at);
      if (end == text.npos || !nlohmann::json::accept(text.substr(at, end - at))) continue;
      looked = end;
      if (end > marker.begin) return end;
    }
    return 0;
  };

  const std::vector<Marker> markers = thoughts::find_markers(text);
  std::size_t document_end = 0;
  for (std::size_t k = 0; k < markers.size(); ++k) {
    const Marker& marker = markers[k];
    if (marker.begin < document_end) continue;
    if (!thinking()) {
      document_end = document_around(marker);
      if (document_end > marker.begin) continue;
    }
    switch (marker.kind) {
      case Marker::Kind::open: {
        // Twice at once: the template's and the model's.
        const bool again = !open.empty() && open.back()->family == marker.family &&
                           thoughts::skip_spaces(text, open.back()->end) == marker.begin;
        if (again) {
          open.back() = &marker;
          break;
        }
        if (!thinking()) parts.emplace_back(from, marker.begin);
        open.push_back(&marker);
        ++depth[marker.family];
        break;
      }
      case Marker::Kind::close: {
        if (silent || (open.empty() && thoughts::is_shared_end(marker.family))) break;
        const auto found = depth.find(marker.family);
        const bool own = found != depth.end() && found->second > 0;
        // Models mix the names of tags up.
        const bool other = !own && thoughts::is_thought(marker.family) && !open.empty() &&
                           thoughts::is_thought(open.back()->family);
        if (own || other) {
          bool matched = false;
          while (!matched) {
            matched = other || open.back()->family == marker.family;
            --depth[open.back()->family];
            open.pop_back();
          }
        } else if (open.empty()) {
          parts.clear();
        }
        if (open.empty()) from = marker.end;
        break;
      }
      case Marker::Kind::answer:
        parts.clear();
        clear();
        channels = true;
        silent = false;
        from = marker.end;
        break;
      case Marker::Kind::aside:
        if (!thinking()) parts.emplace_back(from, marker.begin);
        if (!channels) parts.clear();
        clear();
        channels = true;
        silent = true;
        break;
      case Marker::Kind::end:
        if (open.size() == 1 && open.back()->family == "think token") {
          clear();
          if (!silent) from = marker.end;
        } else if (channels && !thinking()) {
          parts.emplace_back(from, marker.begin);
          silent = true;
        }
        break;
    }
  }
  if (!thinking()) parts.emplace_back(from, text.size());
  return parts;
}

std::string without_thoughts(std::string_view text) {
  std::string result;
  for (const auto& [begin, end] : answer_parts(text)) {
    if (!result.empty()) result += '\n';
    result += text.substr(begin, end - begin);
  }
  return result;
}

}  // namespace sllmr
