import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import type { Classifier } from '../../lib/engines/engine.js'
import { FileError } from '../../lib/errors.js'
import { writeIndexFile } from '../../lib/formats/index-file.js'
import { readIds, readVectors } from '../../lib/formats/read.js'
import { sampleIndex } from './sample-index.js'
import { temporaryFolder } from './temporary-folder.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

async function run(command: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(command, args, { maxBuffer: 1 << 24 })).stdout
}

let python = ''
test.before(async () => {
  python = (await run(process.execPath, here('../../scripts/python-env.mjs'))).trim()
})

/** In double precision, layer by layer: weights are [out, in]. */
function logits({ widths, parameters, inputMean, inputScale }: Classifier, query: number[]): number[] {
  let at = 0
  let activations = query.map((value, i) => (value - (inputMean[i] ?? 0)) * inputScale)
  for (let layer = 0; layer + 1 < widths.length; layer++) {
    const [inputs = 0, outputs = 0] = widths.slice(layer)
    const weight = parameters.subarray(at, at + inputs * outputs)
    const bias = parameters.subarray(at + inputs * outputs, at + inputs * outputs + outputs)
    at += inputs * outputs + outputs
    const sums = Array.from(bias, (start, output) =>
      activations.reduce((sum, value, i) => sum + value * (weight[output * inputs + i] ?? 0), start)
    )
    activations = layer + 2 < widths.length ? sums.map((value) => Math.max(0, value)) : sums
  }
  return activations
}

test('Python opens the index file and its network gives the same logits', async (t) => {
  const words = Array.from({ length: 100 }, (_, i) => `wörd-${i}`)
  const contents = sampleIndex({ rows: 100, widths: [12, 32, 16, 7], words })
  const { state } = contents
  await writeIndexFile(folder.path('python.nlsh'), contents)
  const queries = Array.from({ length: 5 }, (_, row) =>
    Array.from({ length: 12 }, (_, i) => Math.round(100 * Math.sin(row * 12 + i)) / 100)
  )
  const found = JSON.parse(
    await run(python, here('python-reader.py'), folder.path('python.nlsh'), ...queries.map(String))
  )

  t.is(found.format, 'neural-lsh')
  t.deepEqual(found.words, words)
  const bins = Array.from({ length: 7 }, (_, bin) =>
    Array.from(state.bins.ids.subarray(state.bins.offsets[bin], state.bins.offsets[bin + 1]))
  )
  t.deepEqual(found.bins, bins)
  t.true(Math.abs(found.vectorSum - state.vectors.reduce((sum, value) => sum + value, 0)) < 1e-9)
  for (const library of ['numpy', 'torch']) {
    if (found[library] === undefined) t.log(`${library} is not installed in .venv: not compared`)
    for (const [row, computed] of (found[library] ?? []).entries()) {
      const expected = logits(state.classifier, queries[row] ?? [])
      t.is(computed.length, 7)
      t.true(
        expected.every((value, i) => Math.abs(value - computed[i]) < 1e-5 * (1 + Math.abs(value))),
        `${library}: ${computed} for ${expected}`
      )
    }
  }
})

test("NumPy's files of every type, byte order and version", async (t) => {
  await run(python, here('python-writer.py'), folder.path(''))
  const numbers = Array.from({ length: 24 }, (_, i) => i + 1)
  for (const kind of ['u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f4', 'f8']) {
    for (const order of ['little', 'big']) {
      for (const version of [1, 2, 3]) {
        const path = folder.path(`${kind}-${order}-${version}.npy`)
        t.deepEqual(await readVectors(path), { vectors: Float32Array.from(numbers), rows: 6, dimensions: 4 }, path)
        t.deepEqual(await readIds(path), { ids: Int32Array.from(numbers), rows: 6, columns: 4 }, path)
      }
    }
  }
  t.deepEqual(
    (await readVectors(folder.path('bool.npy'))).vectors,
    Float32Array.from(numbers, (value) => Number(value % 2 === 0))
  )
  t.deepEqual(await readVectors(folder.path('axes.npy')), {
    vectors: Float32Array.from(numbers),
    rows: 6,
    dimensions: 4
  })
  await t.throwsAsync(readVectors(folder.path('fortran.npy')), { instanceOf: FileError, message: /Fortran order/ })
  await t.throwsAsync(readVectors(folder.path('half.npy')), { instanceOf: FileError, message: /another type/ })
})
