// Texts as an LLM might have written them, made of titles, and their vectors.
#pragma once

#include <string>
#include <utility>

#include "host/text/encoder.h"
#include "host/text/written_vectors.h"

namespace sllmr::test {

inline WrittenTexts made_up_texts(Subject about, const Split& split, const SubjectOptions& options) {
  const Dataset& data = *split.data;
  WrittenTexts written{about, {}};
  for (const TextSubject& subject : text_subjects(about, split, options)) {
    std::string text = subject.label != 0 ? "It suits." : "It does not suit.";
    for (Id known = 0; known < (subject.user != 0 ? subject.position : 0); ++known) {
      const Id item = data.user_history(subject.user)[static_cast<std::size_t>(known)];
      text += " " + data.titles[static_cast<std::size_t>(item)];
    }
    written.texts.push_back({subject, text + " " + data.titles[static_cast<std::size_t>(subject.item)]});
  }
  return written;
}

/// Of tfidf, as wide as `width`.
inline WrittenVectors made_up_vectors(const WrittenTexts& written, const Dataset& data, std::int64_t width) {
  const EncoderInfo& encoder = find_encoder("tfidf");
  EncoderOptions options;
  options.text_template = encoder.text_template;
  options.width = width;
  return std::move(*encode_written(encoder, data, options, written).vectors);
}

}  // namespace sllmr::test
