/** What a classifier thinks of a query's bins: logits, by the network or the networks of two levels. */
import {
  bufferCount,
  childOf,
  type InputShape,
  type Network,
  outputsOf,
  parameterCount,
  shapesOf,
  sizeOf
} from '../../classifier/network.js'
import type { Classifier, InputTransform } from '../engine.js'
import type { LayerPass } from './images.js'
import { layerPass, logSumOfPowers, type Weights } from './layers.js'
import { squaredNorm } from './products.js'

/** The logits of a prepared query, divided by the temperature; they are overwritten by the next call. */
export type Router = (query: Float32Array) => Float64Array

export function createRouter({ network, parameters, buffers, input, temperature }: Classifier): Router {
  const pass = classifierPass(network, new WeightReader({ parameters, buffers }))
  const transformed = new Float64Array(input.mean.length)
  const logits = new Float64Array(outputsOf(network))
  return (query) => {
    transform(input, query, transformed)
    pass(transformed, logits)
    for (let bin = 0; bin < logits.length; bin++) logits[bin] = (logits[bin] as number) / temperature
    return logits
  }
}

function classifierPass(network: Network, weights: WeightReader): LayerPass {
  const child = childOf(network)
  const widest = Math.max(widestOf(network), child ? widestOf(child) : 0)
  const scratch: Scratch = [new Float64Array(widest), new Float64Array(widest)]
  const firstLevel = networkPass(network, weights, scratch)
  if (child === undefined) return firstLevel
  const groups = outputsOf(network) / outputsOf(child)
  const childPasses = Array.from({ length: groups }, () => networkPass(child, weights, scratch))
  return twoLevels(firstLevel, groups, child, childPasses)
}

/** Hands out the weights in the order in which they lie in a Classifier's flat arrays. */
class WeightReader {
  #weights: Weights

  constructor(weights: Weights) {
    this.#weights = weights
  }

  take(network: Network): Weights {
    const { parameters, buffers } = this.#weights
    const [ownParameters, ownBuffers] = [parameterCount(network), bufferCount(network)]
    this.#weights = { parameters: parameters.subarray(ownParameters), buffers: buffers.subarray(ownBuffers) }
    return { parameters: parameters.subarray(0, ownParameters), buffers: buffers.subarray(0, ownBuffers) }
  }
}

/** Where layers leave what the next one reads: one array is read while the other is written. */
type Scratch = readonly [Float64Array, Float64Array]

const widestOf = (network: Network) => Math.max(...shapesOf(network).map(sizeOf))

/** All layers of one level, one after the other. */
function networkPass({ inputShape, layers }: Network, weights: WeightReader, [first, second]: Scratch): LayerPass {
  let before = inputShape
  const passes = layers.map((layer) => {
    const alone: Network = { inputShape: before, layers: [layer] }
    const [after] = shapesOf(alone) as [InputShape]
    const pass = layerPass(layer, weights.take(alone), before, after)
    before = after
    return pass
  })
  return (from, to) => {
    let [read, written] = [from, first]
    for (const [i, pass] of passes.entries()) {
      written = i === passes.length - 1 ? to : read === first ? second : first
      pass(read, written)
      read = written
    }
  }
}

/** A bin's probability is that of its group times that in its group. All groups are asked, where the native engine leaves
 * out those that it finds improbable: simple, and exact. */
function twoLevels(firstLevel: LayerPass, groups: number, child: Network, childPasses: LayerPass[]): LayerPass {
  const shares = new Float64Array(groups)
  const each = outputsOf(child)
  return (from, to) => {
    firstLevel(from, shares)
    for (const [group, pass] of childPasses.entries()) {
      const inGroup = to.subarray(group * each, (group + 1) * each)
      pass(from, inGroup)
      // What all shares add up to is the same for all bins: it changes no probability.
      const shift = (shares[group] as number) - logSumOfPowers(inGroup, each)
      for (let i = 0; i < each; i++) inGroup[i] = (inGroup[i] as number) + shift
    }
  }
}

function transform({ unitLength, mean, scale }: InputTransform, query: Float32Array, to: Float64Array): void {
  const squared = unitLength ? squaredNorm(query) : 1
  const shrink = squared > 0 ? 1 / Math.sqrt(squared) : 0
  for (let i = 0; i < to.length; i++)
    to[i] = ((query[i] as number) * shrink - (mean[i] as number)) * (scale[i] as number)
}
