import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import type { Classifier } from '../../lib/engines/engine.js'
import { FileError } from '../../lib/errors.js'
import { writeIndexFile } from '../../lib/formats/index-file.js'
import { readIds, readVectors } from '../../lib/formats/read.js'
import { denseNetwork, imageNetwork, sampleIndex } from './sample-index.js'
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

/** Of linear layers with ReLU between them, in double precision: weights are [out, in]. */
function probabilities({ parameters, input, temperature }: Classifier, widths: number[], query: number[]): number[] {
  const length = input.unitLength ? Math.hypot(...query) : 1
  let at = 0
  let activations = query.map((value, i) => (value / length - (input.mean[i] ?? 0)) * (input.scale[i] ?? 0))
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
  const exponentials = activations.map((value) => Math.exp(value / temperature))
  const sum = exponentials.reduce((sum, value) => sum + value, 0)
  return exponentials.map((value) => value / sum)
}

test('Python opens the index file and its network gives the same probabilities', async (t) => {
  const words = Array.from({ length: 100 }, (_, i) => `wörd-${i}`)
  const widths = [12, 32, 16, 7] as const
  const contents = sampleIndex({ rows: 100, network: denseNetwork(...widths), unitLength: true, words })
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
  t.true(Math.abs(found.vectorSum - Array.from(state.vectors).reduce((sum, value) => sum + value, 0)) < 1e-9)
  for (const library of ['numpy', 'torch']) {
    if (found[library] === undefined) t.log(`${library} is not installed in .venv: not compared`)
    for (const [row, computed] of (found[library] ?? []).entries()) {
      const expected = probabilities(state.classifier, [...widths], queries[row] ?? [])
      t.is(computed.length, 7)
      t.true(
        expected.every((value, i) => Math.abs(value - computed[i]) < 1e-5 * value),
        `${library}: ${computed} for ${expected}`
      )
    }
  }
})

test('Python finds the weights of convolution, batch norm and linear layers by name', async (t) => {
  const { state, description } = sampleIndex({ rows: 10, network: imageNetwork })
  await writeIndexFile(folder.path('image.nlsh'), { state, description })
  const found = JSON.parse(await run(python, here('python-reader.py'), folder.path('image.nlsh')))

  const { parameters, buffers } = state.classifier
  const expected: [string, number[], Float32Array][] = [
    ['0.weight', [5, 2, 2, 2], parameters.subarray(0, 40)],
    ['1.weight', [5], parameters.subarray(40, 45)],
    ['1.bias', [5], parameters.subarray(45, 50)],
    ['5.weight', [7, 60], parameters.subarray(50, 470)],
    ['5.bias', [7], parameters.subarray(470, 477)],
    ['6.weight', [7], parameters.subarray(477, 484)],
    ['6.bias', [7], parameters.subarray(484, 491)],
    ['8.weight', [3, 7], parameters.subarray(491, 512)],
    ['1.running_mean', [5], buffers.subarray(0, 5)],
    ['1.running_var', [5], buffers.subarray(5, 10)],
    ['6.running_mean', [7], buffers.subarray(10, 17)],
    ['6.running_var', [7], buffers.subarray(17, 24)]
  ]
  t.is(parameters.length, 512)
  t.is(buffers.length, 24)
  t.deepEqual(
    found.weights,
    Object.fromEntries(expected.map(([name, shape, values]) => [name, { shape, values: Array.from(values) }]))
  )
  if (found.missing === undefined) t.log('torch is not installed in .venv: its strict load_state_dict was not tried')
  else t.deepEqual([found.missing, found.unexpected], [[], []])
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
