// Bins as the classifier sees them: each row where a query like it would look first.
#pragma once

#include <cstddef>
#include <vector>

#include "../../core/job.h"
#include "../../core/types.h"
#include "classifier.h"

namespace neural_lsh::cpu {

/// The most probable bin of each row, but no bin gets more than `largest` rows (bins * largest >= rows): the
/// rows whose first choice is surest choose first, and each goes to the most probable bin that has room. Ties
/// to the smaller row and the smaller bin. The result does not depend on the number of threads.
std::vector<Id> assignToBins(const Classifier& classifier, const Matrix& rows, std::size_t largest,
                             const Job& job);

}  // namespace neural_lsh::cpu
