/** The engine 'cuda' for tests that all engines must pass: over the library that needs no GPU and, where the environment
 * variable NEURAL_LSH_TEST_CUDA is set, on the GPU of this machine, which must then be there. */
import { createCudaEngine } from '../../lib/engines/cuda.js'
import type { Engine } from '../../lib/engines/engine.js'
import { emulatedCuda, fakeCuda, withEnvironment } from '../support/fake-cuda.js'

const create = () => createCudaEngine({ device: 0 })
const withLibrary = (folder: string) => withEnvironment({ NEURAL_LSH_CUDA_LIBRARY: folder }, create)

export async function cudaEngines(): Promise<[string, Engine][]> {
  const fake: [string, Engine] = ['cuda without a GPU', await withLibrary(fakeCuda())]
  return process.env.NEURAL_LSH_TEST_CUDA ? [fake, ['cuda', await create()]] : [fake]
}

let emulated: string | undefined

/** Runs `body` where the library is itself over an emulated device: slow, but the kernels are those of the GPU. */
export function withEmulatedCuda<T>(body: () => Promise<T>): Promise<T> {
  emulated ??= emulatedCuda()
  return withEnvironment({ NEURAL_LSH_CUDA_LIBRARY: emulated }, body)
}

export const emulatedEngine = () => withEmulatedCuda(create)
