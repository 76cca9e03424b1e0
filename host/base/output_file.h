// Where a command's output goes is looked at before its work begins: nothing that it reads, and nothing of
// somebody else's, is written over.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace sllmr {

/// Tells an earlier output of the same command by its content.
using IsOurs = std::function<bool(const std::string& path)>;

/// Throws Error where `path` is one of `inputs`, also by another name or link; and, unless `force`, where it
/// is a file that is not empty and that `is_ours` does not know. Empty inputs are left out.
void check_output(const std::string& path, std::span<const std::string> inputs, const IsOurs& is_ours,
                  bool force);

/// Throws Error where the folder that the file is to lie in does not exist.
void require_folder_of(const std::string& path);

/// Begins the file with this line?
bool has_first_line(const std::string& path, std::string_view line);

}  // namespace sllmr
