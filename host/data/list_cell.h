// Cells of a table that hold a list of words.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sllmr {

/// The values of a cell, by what it looks like:
///
///     'Toys & Games', "Pretend Play"      quoted, with or without commas between them
///     ['Toys & Games', [Puzzles]]         in brackets, as Python and JSON print lists; nested ones are
///     joined Action|Comedy                       separated by bars, and Toys & Games, Puzzles by commas and
///     blanks: where `words` is set Action Comedy                       separated by blanks: where `words` is
///     set
///
/// Anything else is one value. In quotes a backslash or doubling escapes a quote; a quote that neither a
/// comma, a bracket, another quoted value nor the end follows is part of the value ('Kids' Toys').
/// Empty values are dropped.
std::vector<std::string> split_list(std::string_view cell, bool words);

/// A cell that split_list(cell, words) takes apart into `values` again; none of them may hold a tab or line
/// end.
std::string join_list(std::span<const std::string_view> values, bool words);

}  // namespace sllmr
