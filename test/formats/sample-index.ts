import { bufferCount, type Layer, type Network, outputsOf, parameterCount } from '../../lib/classifier/network.js'
import type { ScanType, SearchState } from '../../lib/engines/engine.js'
import type { IndexContents } from '../../lib/formats/index-layout.js'

/** mulberry32: numbers in [0, 1). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Linear layers with ReLU between them: d, widths of the hidden layers, bins. */
export function denseNetwork(dimensions: number, ...widths: number[]): Network {
  const layers = widths.flatMap((outputs): Layer[] => [{ type: 'linear', outputs, bias: true }, { type: 'relu' }])
  return { inputShape: [dimensions, 1, 1], layers: layers.slice(0, -1) }
}

/** Of images of two channels; every kind of tensor that a network has. */
export const imageNetwork: Network = {
  inputShape: [2, 4, 3],
  layers: [
    { type: 'conv2d', channels: 5, kernel: 2, stride: 1, padding: 0, bias: false },
    { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 },
    { type: 'relu' },
    { type: 'max-pool2d', kernel: 2, stride: 1, padding: 1 },
    { type: 'flatten' },
    { type: 'linear', outputs: 7, bias: true },
    { type: 'batch-norm', momentum: 0.5, epsilon: 0.1 },
    { type: 'dropout', rate: 0.25 },
    { type: 'linear', outputs: 3, bias: false }
  ]
}

/** Three groups of four bins, with running statistics in both levels. */
export const twoLevels: Network = {
  ...denseNetwork(5, 6, 3),
  children: [
    { type: 'linear', outputs: 4, bias: true },
    { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 },
    { type: 'relu' },
    { type: 'linear', outputs: 4, bias: false }
  ]
}

export interface SampleOptions {
  rows: number
  network: Network
  unitLength?: boolean
  seed?: number
  words?: string[] | undefined
  metric?: SearchState['metric']
  /** Vectors of integers in 0..255. */
  areBytes?: boolean
  scan?: ScanType
}

/** An index of random numbers whose bins are in order: what a build could have made. */
export function sampleIndex(options: SampleOptions): IndexContents {
  const { rows, network, unitLength = false, seed = 1, words, metric = 'euclidean' } = options
  const { areBytes = false, scan = 'exact' } = options
  const random = randomNumbers(seed)
  const floats = (length: number) => Float32Array.from({ length }, () => random() * 2 - 1)
  const bytes = (length: number) => Uint8Array.from({ length }, () => random() * 256)
  const dimensions = network.inputShape.reduce((product, side) => product * side, 1)
  const bins = outputsOf(network)
  const pairs = Math.ceil(dimensions / 2)
  const codes = {
    codes: bytes(rows * Math.ceil(pairs / 2)),
    codebooks: floats(pairs * 32),
    means: floats(bins * dimensions),
    columns: Int32Array.from({ length: dimensions }, (_, i) => (i + 1) % dimensions)
  }
  return {
    state: {
      metric,
      dimensions,
      classifier: {
        network,
        parameters: floats(parameterCount(network)),
        buffers: floats(bufferCount(network)),
        input: { unitLength, mean: floats(dimensions), scale: floats(dimensions) },
        temperature: Math.fround(random() + 0.5)
      },
      bins: {
        offsets: Int32Array.from({ length: bins + 1 }, (_, bin) => Math.floor((rows * bin) / bins)),
        ids: Int32Array.from({ length: rows }, (_, i) => rows - 1 - i)
      },
      vectors: areBytes ? bytes(rows * dimensions) : floats(rows * dimensions),
      scan,
      codes: scan === 'pq4' ? codes : undefined
    },
    description: {
      options: { bins, seed },
      report: { edgeCut: 17, history: [{ epoch: 0, trainingLoss: 1.5, validationLoss: null }] },
      text: '“naïve”\n'
    },
    ...(words && { words })
  }
}
