// A row of the table of config keys, as config.cpp reads and writes by it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/config/config.h"

namespace sllmr {

struct Key {
  std::string name;
  std::string expects;
  std::string doc;
  std::function<ConfigValue(const Config&)> get;
  std::function<bool(Config&, const ConfigValue&)> set;  // false: wrong type or out of range
  std::vector<std::string> choices = {};
};

/// All keys, section by section: the program's own, then part_keys().
const std::vector<Key>& key_table();

}  // namespace sllmr
