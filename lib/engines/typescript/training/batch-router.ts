/** What a classifier thinks of many vectors' bins. */
import { isRule } from '../../../classifier/layers.js'
import { childOf, outputsOf } from '../../../classifier/network.js'
import type { Classifier } from '../../engine.js'
import { createRouter } from '../router.js'
import type { Team } from '../team.js'
import type { Steps } from '../turns.js'
import { transformRows } from './input-transform.js'
import type { LayerWeights } from './layer.js'
import { TrainingNetwork } from './network.js'

/** Rows that pass through the network at once. */
export const rowsTogether = 256

type Visit = (row: number, logits: Float32Array | Float64Array, at: number) => void

/** Calls `visit` with the logits of each of the prepared rows [first, end), in their order: they stand from `at` on. A unit
 * of work is a row. */
export type RowsRouter = (vectors: Float32Array, first: number, end: number, visit: Visit) => Steps<void>

/** For up to `rowsTogether` rows at once. */
export function rowsRouter(classifier: Classifier): RowsRouter {
  const { network } = classifier
  const isPlain = childOf(network) === undefined && !isRule(network.layers.at(-1)?.type)
  return isPlain ? byBatches(classifier) : oneByOne(classifier)
}

function byBatches({ network: description, parameters, buffers, input, temperature }: Classifier): RowsRouter {
  // Only training changes them.
  const weights = { parameters, buffers } as LayerWeights
  const bins = outputsOf(description)
  const network = new TrainingNetwork(description, rowsTogether, Float32Array)
  return function* (vectors, first, end, visit) {
    const ids = Int32Array.from({ length: end - first }, (_, i) => first + i)
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

function oneByOne(classifier: Classifier): RowsRouter {
  const router = createRouter(classifier)
  const dimensions = classifier.input.mean.length
  return function* (vectors, first, end, visit) {
    for (let row = first; row < end; row++) {
      visit(row, router(vectors.subarray(row * dimensions, (row + 1) * dimensions)), 0)
      yield 1
    }
  }
}

/** The classifier where all threads see its weights. */
export async function sharedClassifier(team: Team, classifier: Classifier): Promise<Classifier> {
  const { parameters, buffers, input } = classifier
  return {
    ...classifier,
    parameters: await team.share(parameters),
    buffers: await team.share(buffers),
    input: { ...input, mean: await team.share(input.mean), scale: await team.share(input.scale) }
  }
}
