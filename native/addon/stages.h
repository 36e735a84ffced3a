// The stages of a build, seen from JavaScript: each takes (request, job options) and returns { promise,
// cancel }.
#pragma once

#include <napi.h>

#include "../cpu/classifier/training-backend.h"

namespace neural_lsh::addon {

/// Adds prepareVectors, knnGraph, exactSearch, similarityGraph, partition, trainClassifier and
/// groupIntoBins to the exports.
void exportStages(Napi::Env env, Napi::Object exports);

/// trainClassifier, whose mini-batches go through what `makeBackend` makes.
Napi::Value trainClassifierOn(const Napi::CallbackInfo& info, const cpu::MakeTrainingBackend& makeBackend);

}  // namespace neural_lsh::addon
