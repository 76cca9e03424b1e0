// MovieLens: u.data (tab-separated), ratings.dat (`::`) or ratings.csv (with header), all of them user, item,
// rating, timestamp, and beside them u.item, movies.dat or movies.csv. Every rating counts as an interaction,
// whatever its value, unless data.keep says otherwise. Genres become categories.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "host/data/csv.h"
#include "host/data/importer.h"
#include "host/data/row_filter.h"
#include "host/data/tables.h"

namespace sllmr {
namespace {

constexpr std::array kGenres{"unknown",   "Action",   "Adventure",   "Animation", "Children's",
                             "Comedy",    "Crime",    "Documentary", "Drama",     "Fantasy",
                             "Film-Noir", "Horror",   "Musical",     "Mystery",   "Romance",
                             "Sci-Fi",    "Thriller", "War",         "Western"};
constexpr std::string_view kRatingsHeader = "userId,movieId,rating,timestamp";
constexpr std::string_view kMoviesHeader = "movieId,title,genres";

Dataset read_ratings(const std::string& path, const ImportOptions& options) {
  LineReader reader(path);
  const std::vector<std::string> columns{"rating"};
  RowFilter filter(path, options, columns);
  InteractionTable interactions;
  std::string_view line = reader.first();
  const std::string_view separator = line.find("::") != line.npos   ? "::"
                                     : line.find('\t') != line.npos ? "\t"
                                                                    : ",";
  bool more = true;
  if (separator == ",") {
    if (line != kRatingsHeader)
      reader.fail(fmt::format("the header is not '{}'; correct it", kRatingsHeader));
    more = reader.next(line);
  }
  for (std::vector<std::string_view> fields; more; more = reader.next(line)) {
    reader.split_exactly(line, separator, 4, fields);
    if (!filter.keeps(reader, [&](std::size_t) { return fields[2]; })) continue;
    interactions.add(reader, fields[0], fields[1], reader.time(fields[3], "timestamp"));
  }
  Dataset data = interactions.build(reader, folder_name(path), options);
  filter.report(data.notes);
  return data;
}

/// u.item: id|title|release|video release|url|19 genre flags.
void read_u_item(LineReader& reader, std::string_view line, ItemTable& items) {
  std::vector<std::string_view> fields;
  std::vector<Attribute> genres;
  do {
    reader.split_exactly(line, "|", 5 + kGenres.size(), fields);
    genres.clear();
    for (std::size_t k = 0; k < kGenres.size(); ++k) {
      if (fields[5 + k] == "1") genres.push_back({kGenres[k], AttributeKind::category});
    }
    items.add(reader, fields[0], fields[1], genres);
  } while (reader.next(line));
}

/// id, title, genres separated by `|`.
void add_movie(const LineReader& reader, std::string_view id, std::string_view title, std::string_view genres,
               ItemTable& items) {
  std::vector<std::string_view> names;
  if (genres != "(no genres listed)") split(genres, "|", names);
  std::vector<Attribute> attributes;
  for (const std::string_view name : names) attributes.push_back({name, AttributeKind::category});
  items.add(reader, id, title, attributes);
}

void read_movies_dat(LineReader& reader, std::string_view line, ItemTable& items) {
  std::vector<std::string_view> fields;
  do {
    reader.split_exactly(line, "::", 3, fields);
    add_movie(reader, fields[0], fields[1], fields[2], items);
  } while (reader.next(line));
}

void read_movies_csv(LineReader& reader, ItemTable& items) {
  std::string unquoted;
  std::vector<std::string_view> fields;
  for (std::string_view line; reader.next(line);) {
    if (!split_csv(line, ',', unquoted, fields))
      reader.fail("a quotation mark is not closed; correct the line");
    reader.check_fields(fields.size(), 3);
    add_movie(reader, fields[0], fields[1], fields[2], items);
  }
}

void read_movies(const std::string& path, Dataset& data, const ImportOptions& options) {
  LineReader reader(path);
  ItemTable items(data, options);
  const std::string_view line = reader.first();
  if (line == kMoviesHeader)
    read_movies_csv(reader, items);
  else if (line.find("::") != line.npos)
    read_movies_dat(reader, line, items);
  else
    read_u_item(reader, line, items);
  items.finish(reader);
}

bool recognises(std::string_view file_name, std::string_view first_line) {
  return file_name == "u.data" || file_name == "u.data.gz" || first_line == kRatingsHeader ||
         (file_name.starts_with("ratings.dat") && first_line.find("::") != first_line.npos);
}

Dataset load(const std::vector<std::string>& files, const ImportOptions& options) {
  Dataset data = read_ratings(files.front(), options);
  add_items(data, files.front(), with_gzip({"u.item", "movies.dat", "movies.csv"}), options, read_movies);
  return data;
}

}  // namespace

Importer movielens_importer() {
  return {"movielens", with_gzip({".data", ".dat", ".csv"}), recognises, load};
}

}  // namespace sllmr
