// The addon's door.
#include <napi.h>

#include "../core/thread-pool.h"
#include "../cpu/kernels/instruction-set.h"
#include "cuda.h"
#include "parts.h"
#include "projections.h"
#include "searcher.h"
#include "stages.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("kernels", Napi::String::New(env, neural_lsh::cpu::instructionSetName()));
  exports.Set("hardwareThreads", Napi::Number::New(env, static_cast<double>(neural_lsh::hardwareThreads())));
  neural_lsh::addon::exportStages(env, exports);
  neural_lsh::addon::exportProjections(env, exports);
  neural_lsh::addon::exportSearcher(env, exports);
  neural_lsh::addon::exportCuda(env, exports);
  neural_lsh::addon::exportParts(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(neural_lsh, initialize)
