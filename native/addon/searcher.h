// An opened index, seen from JavaScript.
#pragma once

#include <napi.h>

namespace neural_lsh::addon {

/// Adds class Searcher and openIndex(state, job) to the exports.
void exportSearcher(Napi::Env env, Napi::Object exports);

}  // namespace neural_lsh::addon
