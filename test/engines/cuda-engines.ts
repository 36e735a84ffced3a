/** The engine 'cuda' for tests that all engines must pass: over the library that needs no GPU and, where the environment
 * variable NEURAL_LSH_TEST_CUDA is set, on the GPU of this machine, which must then be there. */
import { createCudaEngine } from '../../lib/engines/cuda.js'
import type { Engine } from '../../lib/engines/engine.js'
import { fakeCuda, withEnvironment } from '../support/fake-cuda.js'

export async function cudaEngines(): Promise<[string, Engine][]> {
  const create = () => createCudaEngine({ device: 0 })
  const fake = await withEnvironment({ NEURAL_LSH_CUDA_LIBRARY: fakeCuda() }, create)
  return process.env.NEURAL_LSH_TEST_CUDA
    ? [
        ['cuda without a GPU', fake],
        ['cuda', await create()]
      ]
    : [['cuda without a GPU', fake]]
}
