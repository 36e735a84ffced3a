// The classifier's parts one by one, so that tests can hold each against a reference; no user needs them.
#pragma once

#include <napi.h>

namespace neural_lsh::addon {

void exportParts(Napi::Env env, Napi::Object exports);

}  // namespace neural_lsh::addon
