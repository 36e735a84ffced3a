// What is asked of every vector before anything is computed with it.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "../core/job.h"
#include "../core/types.h"

namespace neural_lsh::cpu {

/// Checks every row and, unless `out` is empty, writes it there (source.rows x source.columns), as a unit row
/// for cosine. Throws Error ERR_NLSH_ARGUMENT that names `argument`, the row and the column when a value is
/// NaN or infinite, and the row when it is too long for float arithmetic (|x|^2 > 2^125) or, for cosine, has
/// no direction.
void prepareVectors(const Matrix& source, Metric metric, const std::string& argument, std::span<float> out,
                    const Job& job);

/// The same of one row, whose number is told in errors.
void prepareVector(const float* row, std::size_t columns, std::size_t number, Metric metric,
                   const char* argument, std::span<float> out);

/// The first index whose value is NaN or infinite.
std::optional<std::size_t> findNotFinite(std::span<const float> values, const Job& job);

}  // namespace neural_lsh::cpu
