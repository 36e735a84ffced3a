/**
 * The weights before training. With fan-in and fan-out the inputs and outputs of a unit (for conv2d times kernel^2):
 * uniform +-1/sqrt(fan-in), as PyTorch starts its layers; Xavier, Glorot & Bengio, AISTATS 2010, equation 16: variance
 * 2 / (fan-in + fan-out); He et al., ICCV 2015, equation 10: variance 2 / fan-in; LeCun 1998, Klambauer et al., NeurIPS
 * 2017, for SELU: variance 1 / fan-in.
 */
import { type Network, sizeOf, tensorsOf } from '../../../classifier/network.js'
import type { Initialization } from '../../../classifier/training.js'
import { SplitMix } from '../split-mix.js'
import type { Steps } from '../turns.js'
import { numbersOfStep } from './reals.js'

/** Weights of linear and conv2d are drawn, layer by layer; biases are 0, batch norm's weights 1, its means 0 and its
 * variances 1. */
export function* initialWeights(
  network: Network,
  initialization: Initialization,
  seed: bigint
): Steps<{ parameters: Float32Array<ArrayBuffer>; buffers: Float32Array<ArrayBuffer> }> {
  const tensors = tensorsOf(network).map(({ shape, ...tensor }) => ({ ...tensor, shape, size: sizeOf(shape) }))
  const totalOf = (wanted: string) => tensors.reduce((sum, { kind, size }) => sum + (kind === wanted ? size : 0), 0)
  const weights = {
    parameter: new Float32Array(totalOf('parameter')),
    buffer: new Float32Array(totalOf('buffer'))
  }
  const filled = { parameter: 0, buffer: 0 }
  const random = new SplitMix(seed)
  for (const { name, shape, size, kind } of tensors) {
    const values = weights[kind].subarray(filled[kind], filled[kind] + size)
    filled[kind] += size
    if (shape.length > 1) yield* fillWeights(initialization, shape, random, values)
    else values.fill(name.endsWith('.weight') || name.endsWith('.running_var') ? 1 : 0)
  }
  return { parameters: weights.parameter, buffers: weights.buffer }
}

/** Uniform numbers of variance v lie within +-sqrt(3 v). */
function* fillWeights(
  initialization: Initialization,
  [outputs = 1, ...inputs]: number[],
  random: SplitMix,
  weights: Float32Array
): Steps<void> {
  const fanIn = sizeOf(inputs)
  const fanOut = outputs * sizeOf(inputs.slice(1))
  switch (initialization.type) {
    case 'uniform':
      return yield* fillUniform(random, 1 / Math.sqrt(fanIn), weights)
    case 'xavier-uniform':
      return yield* fillUniform(random, Math.sqrt(6 / (fanIn + fanOut)), weights)
    case 'xavier-normal':
      return yield* fillNormal(random, Math.sqrt(2 / (fanIn + fanOut)), weights)
    case 'he-uniform':
      return yield* fillUniform(random, Math.sqrt(6 / fanIn), weights)
    case 'he-normal':
      return yield* fillNormal(random, Math.sqrt(2 / fanIn), weights)
    case 'lecun-normal':
      return yield* fillNormal(random, Math.sqrt(1 / fanIn), weights)
    case 'constant':
      weights.fill(initialization.value)
  }
}

function* fillUniform(random: SplitMix, bound: number, weights: Float32Array): Steps<void> {
  for (let i = 0; i < weights.length; i++) {
    weights[i] = (2 * random.uniform() - 1) * bound
    if (i % numbersOfStep === 0) yield 0
  }
}

/** By pairs; where their number is odd, the last one's second is left out. */
function* fillNormal(random: SplitMix, deviation: number, weights: Float32Array): Steps<void> {
  const pair = new Float64Array(2)
  for (let i = 0; i < weights.length; i += 2) {
    random.normals(pair)
    weights[i] = deviation * (pair[0] as number)
    if (i + 1 < weights.length) weights[i + 1] = deviation * (pair[1] as number)
    if (i % numbersOfStep === 0) yield 0
  }
}
