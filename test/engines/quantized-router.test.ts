// Networks are multiplied in bytes for queries: what that costs in accuracy, against the same network in double precision.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { Classifier } from '../../lib/engines/engine.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { readIndexFile } from '../../lib/formats/index-file.js'
import { exactSearch, NeuralLSH, readVectors } from '../../lib/index.js'
import { wordsFile } from '../cli/run.js'

const k = 10
const hidden = [128, 64]
const bins = 64

/** The logits of a network of linear layers with ReLU between them. */
function logitsOf({ parameters, input }: Classifier, x: Float32Array): number[] {
  let values = Array.from(x, (number, i) => (number - (input.mean[i] as number)) * (input.scale[i] as number))
  let at = 0
  for (const [layer, width] of [...hidden, bins].entries()) {
    const biases = at + width * values.length
    const next = Array.from({ length: width }, (_, row) => {
      let sum = parameters[biases + row] as number
      for (const [i, value] of values.entries()) sum += value * (parameters[at + row * values.length + i] as number)
      return layer < hidden.length ? Math.max(0, sum) : sum
    })
    at = biases + width
    values = next
  }
  return values
}

test('routing in bytes loses no more than a tenth of a point of Acc@10', async (t) => {
  const { vectors, rows, dimensions } = await readVectors(wordsFile)
  const rowsWhere = (wanted: (row: number) => boolean) =>
    vectors.filter((_, i) => wanted(Math.floor(i / dimensions))).slice()
  const base = rowsWhere((row) => row % 12 !== 0 || row >= rows)
  const queries = rowsWhere((row) => row % 12 === 0)
  const index = await NeuralLSH.build(base, { dimensions, bins, classifier: { hidden } })
  const folder = await mkdtemp(join(tmpdir(), 'neural-lsh-'))
  t.teardown(() => rm(folder, { recursive: true }))
  await index.save(join(folder, 'index'))
  index.close()
  const { state } = await readIndexFile(join(folder, 'index'), {})

  const binOf = new Int32Array(base.length / dimensions)
  for (let bin = 0; bin < bins; bin++)
    for (const id of state.bins.ids.subarray(state.bins.offsets[bin], state.bins.offsets[bin + 1])) binOf[id] = bin
  const truth = await exactSearch(base, queries, { dimensions, k })
  const count = queries.length / dimensions
  const searcher = await createNativeEngine().openSearcher(state, { threads: 0 })
  const routed = await searcher.route(queries, bins, { threads: 0 })
  const precise = Array.from({ length: count }, (_, i) => {
    const logits = logitsOf(state.classifier, queries.subarray(i * dimensions, (i + 1) * dimensions))
    return Int32Array.from(logits.keys()).sort((a, b) => (logits[b] as number) - (logits[a] as number))
  })
  const accuracy = (probes: number, rankingOf: (query: number) => Int32Array) => {
    let found = 0
    for (let i = 0; i < count; i++) {
      const read = new Set(rankingOf(i).subarray(0, probes))
      for (const id of truth.ids.subarray(i * k, (i + 1) * k)) if (read.has(binOf[id] as number)) found++
    }
    return found / truth.ids.length
  }
  const probings = [1, 2, 4, 8, 16]
  let lost = 0
  for (const probes of probings) {
    const inBytes = accuracy(probes, (i) => routed.bins.subarray(i * bins, (i + 1) * bins))
    const inDoubles = accuracy(probes, (i) => precise[i] as Int32Array)
    t.log(`T = ${probes}: ${inBytes.toFixed(4)}, in double precision ${inDoubles.toFixed(4)}`)
    t.true(inDoubles > 0.3)
    lost += (inDoubles - inBytes) / probings.length
  }
  t.true(lost <= 0.001, `lost ${lost}`)
})
