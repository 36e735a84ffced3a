/** What a classifier thinks of many vectors' bins. */

import { isRule } from '../../../classifier/layers.js'
import { childOf, outputsOf } from '../../../classifier/network.js'
import type { Classifier } from '../../engine.js'
import { createRouter } from '../router.js'
import type { Steps } from '../turns.js'
import { transformRows } from './input-transform.js'
import { TrainingNetwork } from './network.js'

/** Rows that pass through the network at once. */
export const rowsTogether = 256

/** Calls `visit` with the logits of each of the prepared rows, in their order: they stand from `at` on. */
export function eachLogits(
  classifier: Classifier,
  vectors: Float32Array,
  rows: number,
  visit: (row: number, logits: Float32Array | Float64Array, at: number) => void
): Steps<void> {
  const { network } = classifier
  const isPlain = childOf(network) === undefined && !isRule(network.layers.at(-1)?.type)
  return isPlain ? byBatches(classifier, vectors, rows, visit) : oneByOne(classifier, vectors, rows, visit)
}

/** A unit of work is a row. */
function* byBatches(
  classifier: Classifier,
  vectors: Float32Array,
  rows: number,
  visit: Parameters<typeof eachLogits>[3]
): Steps<void> {
  const { network: description, input, temperature } = classifier
  const weights = {
    parameters: Float32Array.from(classifier.parameters),
    buffers: Float32Array.from(classifier.buffers)
  }
  const bins = outputsOf(description)
  const network = new TrainingNetwork(description, Math.min(rows, rowsTogether), Float32Array)
  for (let first = 0; first < rows; first += rowsTogether) {
    const ids = Int32Array.from({ length: Math.min(rowsTogether, rows - first) }, (_, i) => first + i)
    yield* transformRows(input, vectors, ids, network.inputs)
    yield* network.infer(weights, ids.length)
    const logits = network.outputs
    for (let i = 0; i < ids.length; i++) {
      for (let at = i * bins; at < (i + 1) * bins; at++) logits[at] = (logits[at] as number) / temperature
      visit(first + i, logits, i * bins)
      yield 1
    }
  }
}

function* oneByOne(
  classifier: Classifier,
  vectors: Float32Array,
  rows: number,
  visit: Parameters<typeof eachLogits>[3]
): Steps<void> {
  const router = createRouter(classifier)
  const dimensions = classifier.input.mean.length
  for (let row = 0; row < rows; row++) {
    visit(row, router(vectors.subarray(row * dimensions, (row + 1) * dimensions)), 0)
    yield 1
  }
}
