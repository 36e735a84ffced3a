// The stages of a build, seen from JavaScript: each takes (request, job options) and returns { promise,
// cancel }.
#pragma once

#include <napi.h>

namespace neural_lsh::addon {

/// Adds prepareVectors, knnGraph, exactSearch, similarityGraph, partition, trainClassifier and
/// groupIntoBins to the exports.
void exportStages(Napi::Env env, Napi::Object exports);

}  // namespace neural_lsh::addon
