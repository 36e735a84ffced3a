/** The engine 'cuda' against plain loops and the native engine: on the GPU of this machine where NEURAL_LSH_TEST_CUDA is
 * set (scripts/gpu-check.sh), with more vectors, real ones where there are any; everywhere without a GPU, and with its
 * kernels on an emulated one, which runs one call at a time: the tests are serial. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { readVectors } from '../../lib/index.js'
import { clustered, integers, metrics } from '../support/vectors.js'
import { neighborFault, searchFault, shapes } from './cuda-checks.js'
import { cudaEngines, emulatedEngine } from './cuda-engines.js'

for (const [name, engine] of [...(await cudaEngines()), ['cuda, emulated', await emulatedEngine()] as const]) {
  const isDevice = name === 'cuda'

  for (const metric of metrics) {
    test.serial(`${name}: exact neighbors are the native engine's: ${metric}`, async (t) => {
      for (const [rows, dimensions, k] of [
        [2, 1, 1],
        [129, 33, 20],
        [isDevice ? 20_000 : 400, 96, 50]
      ] as const) {
        const vectors = metric === 'cosine' ? clustered(rows, dimensions) : integers(rows, dimensions)
        t.is(await neighborFault(engine, { vectors, dimensions, metric }, k), undefined)
      }
    })
  }

  for (const shape of shapes) {
    test.serial(`${name}: batches find what the bins hold: ${JSON.stringify(shape)}`, async (t) => {
      t.is(await searchFault(engine, shape, isDevice ? 300 : 50), undefined)
    })
  }

  for (const [file, metric] of [
    ['sift/siftsmall_base.bvecs.gz', 'euclidean'],
    ['mnist/t10k-images-idx3-ubyte', 'euclidean'],
    ['glove/query.fvecs', 'cosine']
  ] as const) {
    const path = fileURLToPath(new URL(`../../data/${file}`, import.meta.url))
    if (!isDevice || !existsSync(path)) continue
    test.serial(`${name}: exact neighbors are the native engine's: ${file}`, async (t) => {
      const { vectors, dimensions } = await readVectors(path, { limit: 10_000 })
      t.is(await neighborFault(engine, { vectors, dimensions, metric }, 10), undefined)
    })
  }
}
