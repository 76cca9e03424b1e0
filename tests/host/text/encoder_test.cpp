#include "host/text/encoder.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "host/data/synthetic.h"
#include "host/text/item_texts.h"
#include "kernels/exec/parallel.h"
#include "tests/host/support.h"
#include "tests/host/text/shelf.h"

namespace sllmr {
namespace {

using test::cosmetics;
using test::shelf;
using testing::AllOf;
using testing::HasSubstr;

using Dense = std::vector<std::vector<double>>;

EncodeResult tfidf(const Dataset& data, std::int64_t width) {
  EncoderOptions options;
  options.text_template = find_encoder("tfidf").text_template;
  options.width = width;
  return find_encoder("tfidf").encode(data, options);
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Texts as unit TF-IDF rows, [items][terms], without the padding.
Dense naive_tf_idf(const std::vector<std::string>& texts) {
  std::map<std::string, std::size_t> column;
  std::map<std::string, double> documents;
  double n = 0;
  for (std::size_t k = 1; k < texts.size(); ++k) {
    const auto words = words_of(texts[k]);
    for (const std::string& word : words) column.emplace(word, column.size());
    for (const std::string& word : std::set<std::string>(words.begin(), words.end())) ++documents[word];
    n += !words.empty();
  }
  Dense rows(texts.size() - 1, std::vector<double>(column.size(), 0.0));
  for (std::size_t k = 1; k < texts.size(); ++k) {
    std::vector<double>& row = rows[k - 1];
    for (const std::string& word : words_of(texts[k])) {
      row[column[word]] += std::log((1 + n) / (1 + documents[word])) + 1;
    }
    double squares = 0;
    for (const double x : row) squares += x * x;
    for (double& x : row) x /= squares > 0 ? std::sqrt(squares) : 1;
  }
  return rows;
}

/// Eigenvalues and eigenvectors (as columns) of a symmetric matrix by Jacobi's rotations, unsorted.
std::pair<std::vector<double>, Dense> eigen_of(Dense m) {
  const std::size_t n = m.size();
  Dense v(n, std::vector<double>(n, 0.0));
  for (std::size_t k = 0; k < n; ++k) v[k][k] = 1;
  for (int sweep = 0; sweep < 30; ++sweep) {
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        if (std::fabs(m[p][q]) < 1e-15) continue;
        const double angle = 0.5 * std::atan2(2 * m[p][q], m[q][q] - m[p][p]);
        const double c = std::cos(angle), s = std::sin(angle);
        for (std::size_t k = 0; k < n; ++k) {
          const double kp = m[k][p], kq = m[k][q];
          m[k][p] = c * kp - s * kq;
          m[k][q] = s * kp + c * kq;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double pk = m[p][k], qk = m[q][k];
          m[p][k] = c * pk - s * qk;
          m[q][k] = s * pk + c * qk;
          const double vp = v[k][p], vq = v[k][q];
          v[k][p] = c * vp - s * vq;
          v[k][q] = s * vp + c * vq;
        }
      }
    }
  }
  std::vector<double> values;
  for (std::size_t k = 0; k < n; ++k) values.push_back(m[k][k]);
  return {values, v};
}

/// A A' on the leading `width` eigenvectors: all inner products of the texts' projections.
Dense naive_products(const Dense& rows, std::size_t width) {
  const std::size_t n = rows.size();
  Dense gram(n, std::vector<double>(n, 0.0));
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      for (std::size_t k = 0; k < rows[i].size(); ++k) gram[i][j] += rows[i][k] * rows[j][k];
    }
  }
  const auto [values, vectors] = eigen_of(gram);
  std::vector<std::size_t> order(n);
  for (std::size_t k = 0; k < n; ++k) order[k] = k;
  std::ranges::sort(order, [&v = values](std::size_t a, std::size_t b) { return v[a] > v[b]; });
  Dense products(n, std::vector<double>(n, 0.0));
  for (std::size_t k = 0; k < std::min(width, n); ++k) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        products[i][j] += values[order[k]] * vectors[i][order[k]] * vectors[j][order[k]];
      }
    }
  }
  if (width < n) {
    EXPECT_GT(values[order[width - 1]], 1.02 * values[order[width]]) << "else the directions are not defined";
  }
  return products;
}

void expect_like_naive(const Dataset& data, std::int64_t width) {
  SCOPED_TRACE(testing::Message() << data.items.count() << " items, width " << width);
  const TextVectors vectors = tfidf(data, width).vectors;
  ASSERT_EQ(vectors.width, width);
  const Dense products = naive_products(naive_tf_idf(item_texts(data, find_encoder("tfidf").text_template)),
                                        static_cast<std::size_t>(width));
  double worst = 0;
  for (std::size_t i = 0; i < products.size(); ++i) {
    for (std::size_t j = 0; j < products.size(); ++j) {
      const auto a = vectors.of(static_cast<Id>(i + 1)), b = vectors.of(static_cast<Id>(j + 1));
      double cosine = 0;
      for (std::size_t k = 0; k < a.size(); ++k)
        cosine += static_cast<double>(a[k]) * static_cast<double>(b[k]);
      ASSERT_TRUE(std::isfinite(cosine));
      worst =
          std::max(worst, std::fabs(cosine - products[i][j] / std::sqrt(products[i][i] * products[j][j])));
    }
  }
  EXPECT_LT(worst, 1e-4);
}

TEST(TfIdfEncoder, IsADenseDecomposition) {
  for (const std::int64_t width : {1, 3, 5, 8, 20}) expect_like_naive(shelf(cosmetics()), width);
}

TEST(TfIdfEncoder, FindsDirectionsWithASketchOfFewerColumnsThanTexts) {
  std::vector<test::ShelfItem> items;
  for (int k = 0; k < 60; ++k) {
    std::string title = "own" + std::to_string(k);
    const int topic = k * k % 11 % 5;  // of different sizes
    for (int word = 0; word < 6; ++word) {
      if ((k + word) % 4 != 0) title += " topic" + std::to_string(topic) + "word" + std::to_string(word);
    }
    items.push_back({title, {}});
  }
  expect_like_naive(shelf(items), 4);
}

TEST(TfIdfEncoder, DoesNotDependOnThreads) {
  SyntheticOptions options;
  options.users = 300;
  options.items = 400;
  options.topics = 8;
  const Dataset data = synthetic_dataset(options);
  const int threads = default_threads();
  set_default_threads(1);
  const std::vector<float> one = tfidf(data, 32).vectors.values;
  set_default_threads(2);
  EXPECT_EQ(tfidf(data, 32).vectors.values, one);
  EXPECT_EQ(tfidf(data, 32).vectors.values, one);
  set_default_threads(threads);
}

TEST(TfIdfEncoder, GivesEveryItemAUnitVector) {
  auto items = cosmetics();
  items.push_back({"", {}});
  items.push_back({"--- !", {}});  // a text without a word
  const EncodeResult result = tfidf(shelf(items), 128);
  EXPECT_EQ(result.vectors.origin["run"]["placeholders"], 2);
  for (Id item = 1; item <= static_cast<Id>(items.size()); ++item) {
    double squares = 0;
    for (const float x : result.vectors.of(item)) squares += static_cast<double>(x) * static_cast<double>(x);
    EXPECT_NEAR(squares, 1, 1e-6) << item;
  }
  EXPECT_TRUE(std::ranges::equal(result.vectors.of(9), result.vectors.of(10)));
}

TEST(TfIdfEncoder, RefusesTextsWithoutWords) {
  EXPECT_THAT(error_of([] {
                tfidf(shelf({{"--", {}}, {"!", {}}}), 4);
              }),
              HasSubstr("the encoder tfidf gives the items' vectors no direction"));
}

TEST(Encoders, AreNamedOnceAndStandInsSaySo) {
  std::set<std::string> names;
  for (const EncoderInfo& encoder : encoders()) EXPECT_TRUE(names.insert(encoder.name).second);
  EXPECT_THAT(find_encoder("tfidf").summary, HasSubstr("stand-in"));
  EXPECT_THAT(error_of([] { find_encoder("tfidv"); }),
              HasSubstr("unknown encoder 'tfidv'; did you mean 'tfidf'?"));
}

TEST(TextVectorsOf, ReadsOrMakesAsTheConfigurationSays) {
  const Dataset data = shelf(cosmetics());
  TemporaryFolder folder;
  const std::string path = folder / "v.safetensors";
  const auto of = [&](const std::vector<std::string>& words) {
    return text_vectors_of(load_config("", words), data);
  };
  const auto made = of({"llm.vector_width=3"});
  EXPECT_EQ(made->width, 3);
  EXPECT_EQ(of({})->width, 128);
  save_text_vectors(path, *made, data);
  EXPECT_EQ(of({"llm.encoder=file", "llm.vectors=" + path})->values, made->values);

  const auto error = [&](const std::vector<std::string>& words) { return error_of([&] { of(words); }); };
  EXPECT_THAT(error({"llm.encoder=file"}), HasSubstr("llm.encoder=file needs llm.vectors"));
  EXPECT_THAT(error({"llm.encoder=openai", "data.path=../beauty"}),
              AllOf(HasSubstr("training asks nobody"),
                    HasSubstr("`sllmr llm embed --data ../beauty --encoder openai --url URL --model MODEL"),
                    HasSubstr("llm.encoder=file llm.vectors=")));
  EXPECT_THAT(error({"llm.encoder=tfid"}), HasSubstr("did you mean 'tfidf'"));
}

}  // namespace
}  // namespace sllmr
