/** Every layer of a network in use, with the meaning of PyTorch's modules, in double precision. */
import type { InputShape, Layer } from '../../classifier/network.js'
import { activationOf } from './activations.js'
import { convolution, type LayerPass, pool } from './images.js'
import { partitionRule } from './partition-rules.js'
import { dotProduct } from './products.js'

/** A layer's weights, and its running statistics where it has some. */
export interface Weights {
  parameters: Float32Array
  buffers: Float32Array
}

/** `before` and `after` are the shapes of the rows that enter and leave it. */
export function layerPass(layer: Layer, weights: Weights, before: InputShape, after: InputShape): LayerPass {
  switch (layer.type) {
    case 'linear':
      return linear(layer, weights.parameters, before[0])
    case 'conv2d':
      return convolution(layer, weights.parameters, before, after)
    case 'max-pool2d':
    case 'average-pool2d':
      return pool(layer, before, after)
    case 'batch-norm':
      return batchNorm(layer, weights, before)
    case 'dropout':
    case 'flatten':
      // Nothing is dropped in use, and rows are flat already.
      return elementWise((x) => x, before)
    case 'softmax':
      return (from, to) => softmax(from, to, before[0])
    case 'tree-leaves':
    case 'sign-codes':
    case 'cross-polytope':
      return partitionRule(layer)
    default:
      return elementWise(activationOf(layer), before)
  }
}

/** `weights`: [out, in], then [out] where there are biases. */
function linear(
  { outputs, bias }: Extract<Layer, { type: 'linear' }>,
  weights: Float32Array,
  inputs: number
): LayerPass {
  return (from, to) => {
    for (let out = 0; out < outputs; out++) {
      const shift = bias ? (weights[outputs * inputs + out] as number) : 0
      to[out] = shift + dotProduct(from, weights, out * inputs, inputs)
    }
  }
}

/** By the running statistics of each channel. */
function batchNorm(
  { epsilon }: Extract<Layer, { type: 'batch-norm' }>,
  { parameters, buffers }: Weights,
  [channels, height, width]: InputShape
): LayerPass {
  const pixels = height * width
  return (from, to) => {
    for (let channel = 0; channel < channels; channel++) {
      const scale = (parameters[channel] as number) / Math.sqrt((buffers[channels + channel] as number) + epsilon)
      const shift = (parameters[channels + channel] as number) - (buffers[channel] as number) * scale
      for (let i = channel * pixels; i < (channel + 1) * pixels; i++) to[i] = (from[i] as number) * scale + shift
    }
  }
}

function elementWise(activate: (x: number) => number, [channels, height, width]: InputShape): LayerPass {
  const size = channels * height * width
  return (from, to) => {
    for (let i = 0; i < size; i++) to[i] = activate(from[i] as number)
  }
}

function softmax(from: Float64Array, to: Float64Array, size: number): void {
  const shift = logSumOfPowers(from, size)
  for (let i = 0; i < size; i++) to[i] = Math.exp((from[i] as number) - shift)
}

/** log of the sum of exp(value) over the first `size` values: without overflow. */
export function logSumOfPowers(values: Float64Array, size: number): number {
  let largest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < size; i++) largest = Math.max(largest, values[i] as number)
  let sum = 0
  for (let i = 0; i < size; i++) sum += Math.exp((values[i] as number) - largest)
  return largest + Math.log(sum)
}
