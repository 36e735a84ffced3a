// Partitions by projections, seen from JavaScript.
#pragma once

#include <napi.h>

namespace neural_lsh::addon {

/// Adds projectionPartition to the exports.
void exportProjections(Napi::Env env, Napi::Object exports);

}  // namespace neural_lsh::addon
