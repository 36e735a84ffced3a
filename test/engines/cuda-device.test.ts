/** The engine 'cuda' against plain loops and the native engine: on the GPU of this machine where NEURAL_LSH_TEST_CUDA is
 * set (scripts/gpu-check.sh), with more vectors, real ones where there are any; everywhere without a GPU, and with its
 * kernels on an emulated one, which runs one call at a time: the tests are serial. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { exactSearch, NeuralLSH, readVectors } from '../../lib/index.js'
import { temporaryFolder } from '../formats/temporary-folder.js'
import { clustered, integers, metrics } from '../support/vectors.js'
import { readWords } from '../support/words.js'
import { neighborFault, precisions, searchFault, shapes } from './cuda-checks.js'
import { cudaEngines, emulatedEngine, withEmulatedCuda } from './cuda-engines.js'

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

  test.serial(`${name}: the graph is the same with products of any precision`, async (t) => {
    const [rows, dimensions] = [isDevice ? 20_000 : 300, 40]
    for (const precision of precisions) {
      for (const vectors of [clustered(rows, dimensions), clustered(rows, dimensions).map((x) => 1e4 + x)])
        t.is(await neighborFault(engine, { vectors, dimensions, metric: 'euclidean' }, 10, precision), undefined)
    }
  })

  for (const shape of shapes) {
    test.serial(`${name}: batches find what the bins hold: ${JSON.stringify(shape)}`, async (t) => {
      t.is(await searchFault(engine, shape, isDevice ? 300 : 50), undefined)
    })
  }

  test.serial(`${name}: exact neighbors are the native engine's: words`, async (t) => {
    const { vectors, dimensions } = await readWords(isDevice ? 10_000 : 300)
    for (const precision of precisions)
      t.is(await neighborFault(engine, { vectors, dimensions, metric: 'cosine' }, 10, precision), undefined)
  })

  for (const [file, metric] of [
    ['sift/siftsmall_base.bvecs.gz', 'euclidean'],
    ['mnist/t10k-images-idx3-ubyte', 'euclidean'],
    ['glove/query.fvecs', 'cosine']
  ] as const) {
    const path = fileURLToPath(new URL(`../../data/${file}`, import.meta.url))
    if (!existsSync(path)) continue
    test.serial(`${name}: exact neighbors are the native engine's: ${file}`, async (t) => {
      const { vectors, dimensions } = await readVectors(path, { limit: isDevice ? 10_000 : 300 })
      t.is(await neighborFault(engine, { vectors, dimensions, metric }, 10), undefined)
    })
  }
}

const folder = temporaryFolder()
test.after.always(() => folder.remove())

test.serial("what the router's products round costs no neighbors", async (t) => {
  const [rows, dimensions, k] = [3000, 24, 10]
  const all = clustered(rows + 1000, dimensions, 200)
  const [vectors, queries] = [all.slice(0, rows * dimensions), all.slice(rows * dimensions)]
  const classifier = { hidden: [48], epochs: 4 }
  const built = await NeuralLSH.build(vectors, { dimensions, bins: 32, engine: 'native', classifier })
  await built.save(folder.path('index.nlsh'))
  built.close()
  const truth = (await exactSearch(vectors, queries, { dimensions, k, engine: 'native' })).ids
  const found: number[] = []
  for (const engine of ['typescript', 'cuda'] as const) {
    const index = await withEmulatedCuda(() => NeuralLSH.open(folder.path('index.nlsh'), { engine }))
    t.is(index.engine, engine)
    const { ids } = await index.searchBatch(queries, { k, probes: 3 })
    found.push(truth.filter((id, i) => ids.subarray(i - (i % k), i - (i % k) + k).includes(id)).length / truth.length)
    index.close()
  }
  const [inFloats, onDevice] = found as [number, number]
  t.true(inFloats > 0.5 && inFloats < 0.999, `${inFloats}: neither all nor nothing`)
  t.true(Math.abs(onDevice - inFloats) < 0.002, `${onDevice} of the neighbors, ${inFloats} with a router of floats`)
})
