// The CUDA library, seen from JavaScript.
#pragma once

#include <napi.h>

namespace neural_lsh::addon {

/// Adds openCuda, cudaFindNeighbors, cudaTrainClassifier, cudaBackendPass, openCudaIndex and class CudaIndex
/// to the exports.
void exportCuda(Napi::Env env, Napi::Object exports);

}  // namespace neural_lsh::addon
