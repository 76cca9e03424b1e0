#include "host/data/csv.h"

#include "host/base/line_reader.h"

namespace sllmr {

bool split_csv(std::string_view line, char separator, std::string& unquoted,
               std::vector<std::string_view>& fields) {
  if (line.find('"') == line.npos) {
    split(line, {&separator, 1}, fields);
    return true;
  }
  unquoted.clear();
  unquoted.reserve(line.size());  // so that views of it stay
  fields.clear();
  std::size_t begin = 0;
  const auto end_field = [&] {
    fields.push_back(std::string_view(unquoted).substr(begin));
    begin = unquoted.size();
  };
  bool quoted = false;
  for (std::size_t k = 0; k < line.size(); ++k) {
    if (line[k] == '"') {
      if (quoted && k + 1 < line.size() && line[k + 1] == '"')
        unquoted += line[k++];
      else
        quoted = !quoted;
    } else if (line[k] == separator && !quoted) {
      end_field();
    } else {
      unquoted += line[k];
    }
  }
  end_field();
  return !quoted;
}

}  // namespace sllmr
