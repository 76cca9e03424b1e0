#include "host/data/csv.h"

namespace sllmr {

bool split_csv(std::string_view line, char separator, std::vector<std::string>& fields) {
  fields.assign(1, "");
  bool quoted = false;
  for (std::size_t k = 0; k < line.size(); ++k) {
    if (line[k] == '"') {
      if (quoted && k + 1 < line.size() && line[k + 1] == '"')
        fields.back() += line[k++];
      else
        quoted = !quoted;
    } else if (line[k] == separator && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += line[k];
    }
  }
  return !quoted;
}

}  // namespace sllmr
