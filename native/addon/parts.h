// The classifier's parts one by one, so that tests can hold each against a reference; no user needs them.
#pragma once

#include <napi.h>

#include "../cpu/classifier/training-backend.h"

namespace neural_lsh::addon {

void exportParts(Napi::Env env, Napi::Object exports);

/// Of a mini-batch that goes through what `makeBackend` makes: { network, loss, parameters, buffers, rows,
/// seed } and a training set -> { outputs, loss, gradient, buffers }, in floats. The outputs are those in
/// use, the others those in training; seed, a bigint, is the batch's.
Napi::Value backendPassOn(const Napi::CallbackInfo& info, const cpu::MakeTrainingBackend& makeBackend);

}  // namespace neural_lsh::addon
