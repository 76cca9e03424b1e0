#include "core/data.h"

#include <fmt/format.h>

#include <utility>

#include "core/bindings.h"
#include "core/text.h"
#include "core/work.h"
#include "host/data/import.h"
#include "host/data/list_cell.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace sllmr::python {
namespace {

std::unique_ptr<Data> load(const std::vector<std::string>& words, const nb::object& listener,
                           bool takes_progress) {
  auto data = std::make_unique<Data>();
  run_work(listener, takes_progress, [&](Caller&) {
    data->config = load_config("", words);
    data->world = load_world(data->config);
  });
  return data;
}

nb::list tokens_of(const TokenMap& map) {
  nb::list out;
  for (Id id = 1; id < map.rows(); ++id) {
    out.append(named(map.token(id)));
  }
  return out;
}

/// Without row 0, which is padding.
template <class Number>
std::span<const Number> rows_of(const std::vector<Number>& numbers) {
  return std::span(numbers).subspan(1);
}

/// Ids as rows of `users` and `items`: from 0, and -1 for none.
std::vector<std::int32_t> as_rows(std::span<const Id> ids) {
  std::vector<std::int32_t> rows;
  rows.reserve(ids.size());
  for (const Id id : ids) rows.push_back(id - 1);
  return rows;
}

nb::list notes_of(const Data& data) {
  nb::list out;
  for (const std::string& note : data.set().notes) out.append(shown(note));
  return out;
}

nb::list titles_of(const Data& data) {
  nb::list out;
  for (const std::string& title : rows_of(data.set().titles)) out.append(shown(title));
  return out;
}

nb::list attributes_of(const Data& data) {
  const Dataset& set = data.set();
  nb::list out;
  for (Id item = 1; item < set.items.rows(); ++item) {
    nb::list of_item;
    for (const Id attribute : set.attributes_of(item)) of_item.append(shown(set.attributes.token(attribute)));
    out.append(of_item);
  }
  return out;
}

nb::dict stats_of(const Data& data) {
  const DataStats stats = data_stats(data.world.split);
  nb::dict out;
  for (const DataFigure& figure : data_figures()) out[figure.name] = stats.*figure.value;
  return out;
}

const Data& data_of(nb::handle self) {
  return nb::cast<const Data&>(self);
}

}  // namespace

void bind_data(nb::module_& module) {
  nb::class_<Data>(module, "Data", "A data set and its split. Rows count from 0; see sllmr.Dataset.")
      .def_prop_ro("name", [](const Data& data) { return shown(data.set().name); })
      .def_prop_ro("source", [](const Data& data) { return named(data.set().source); })
      .def_prop_ro("hash", [](const Data& data) { return fmt::format("{:016x}", data.set().hash); })
      .def_prop_ro("notes", &notes_of)
      .def_prop_ro("stats", &stats_of)
      .def_prop_ro("users", [](const Data& data) { return tokens_of(data.set().users); })
      .def_prop_ro("items", [](const Data& data) { return tokens_of(data.set().items); })
      .def_prop_ro("titles", &titles_of)
      .def_prop_ro("attributes", &attributes_of)
      .def_prop_ro(
          "offsets", [](nb::handle self) { return view(rows_of(data_of(self).set().history_offsets), self); },
          kAsItIs)
      .def_prop_ro(
          "history", [](const Data& data) { return given(as_rows(data.set().history)); }, kAsItIs)
      .def_prop_ro(
          "negative_group", [](const Data& data) { return given(data.set().negative_group); }, kAsItIs)
      .def_prop_ro(
          "negative_offsets", [](const Data& data) { return given(data.set().negative_offsets); }, kAsItIs)
      .def_prop_ro(
          "negatives", [](const Data& data) { return given(as_rows(data.set().negatives)); }, kAsItIs)
      .def_prop_ro(
          "train_size",
          [](nb::handle self) { return view(rows_of(data_of(self).world.split.train_size), self); }, kAsItIs)
      .def_prop_ro(
          "validation", [](const Data& data) { return given(as_rows(rows_of(data.world.split.validation))); },
          kAsItIs)
      .def_prop_ro(
          "test", [](const Data& data) { return given(as_rows(rows_of(data.world.split.test))); }, kAsItIs)
      .def_prop_ro(
          "popularity",
          [](nb::handle self) { return view(rows_of(data_of(self).world.split.popularity), self); }, kAsItIs)
      .def_prop_ro(
          "cold", [](nb::handle self) { return view(rows_of(data_of(self).world.split.cold), self); },
          kAsItIs)
      .def_prop_ro(
          "tail", [](nb::handle self) { return view(rows_of(data_of(self).world.split.tail), self); },
          kAsItIs);
  module.def(
      "join_list",
      [](const std::vector<std::string>& values) {
        return join_list(std::vector<std::string_view>(values.begin(), values.end()), true);
      },
      "values"_a, "A cell of a RecBole file that is read as these values.");
  module.def("load_data", &load, "words"_a, "listener"_a, "takes_progress"_a,
             "Reads the data set that `words` (key=value) name.");
}

}  // namespace sllmr::python
