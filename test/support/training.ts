/** Requests for trainings, and what they must come to by plain formulas in double precision. */
import { readFileSync } from 'node:fs'
import { read } from '../../lib/checks/fields.js'
import {
  type ClassifierOptions,
  classifierTable,
  completeClassifier,
  trainingSettings
} from '../../lib/classifier/options.js'
import type { Classifier, EpochReport, TrainedClassifier, TrainingRequest } from '../../lib/engines/engine.js'
import { SplitMix } from './split-mix.js'

export type TrainingData = Pick<
  TrainingRequest,
  'vectors' | 'dimensions' | 'labels' | 'bins' | 'neighbors' | 'neighborsPerRow'
>

/** What an engine is asked for when a user trains on `data` with these options. */
export function trainingRequest(data: TrainingData, options: ClassifierOptions = {}, seed = 1): TrainingRequest {
  const settings = completeClassifier(read(classifierTable(data), options), data, '')
  return { ...data, ...trainingSettings(settings, data.bins, ''), seed }
}

/** A training on PyTorch, option for option, and what its epochs were like. */
export interface ReferenceTraining {
  name: string
  seed: number
  options: ClassifierOptions
  history: Omit<EpochReport, 'epoch' | 'seconds'>[]
}

/** Words' vectors with their k-means labels and nearest neighbors: see test/fixtures/README.md. */
export function readWords(): { words: TrainingData; trainings: ReferenceTraining[] } {
  const fixtures = new URL('../fixtures/', import.meta.url)
  const { rows, dimensions, bins, neighborsPerRow, cases } = JSON.parse(
    readFileSync(new URL('classifier.json', fixtures), 'utf8')
  ) as Record<'rows' | 'dimensions' | 'bins' | 'neighborsPerRow', number> & { cases: ReferenceTraining[] }
  const bytes = new Uint8Array(readFileSync(new URL('classifier.bin', fixtures)))
  const integers = new Uint16Array(bytes.slice(rows * dimensions).buffer)
  const words = {
    vectors: Float32Array.from(new Int8Array(bytes.buffer, 0, rows * dimensions), (value) => value / 32),
    labels: Int32Array.from(integers.subarray(0, rows)),
    neighbors: Int32Array.from(integers.subarray(rows, rows * (1 + neighborsPerRow))),
    dimensions,
    bins,
    neighborsPerRow
  }
  return { words, trainings: cases }
}

/** Which rows a training holds out, and which it trains on: native/cpu/classifier/trainer.h, random numbers, 1. */
export function split({ labels, validationFraction, seed }: TrainingRequest) {
  const order = new SplitMix(new SplitMix(BigInt(seed)).next()).shuffled([...labels.keys()])
  const heldOut = Math.floor(labels.length * validationFraction)
  return { validation: order.slice(0, heldOut), training: order.slice(heldOut) }
}

/** All but the time that it took. */
export const withoutSeconds = ({ history, ...rest }: TrainedClassifier) => ({
  ...rest,
  history: history.map((epoch) => ({ ...epoch, seconds: 0 }))
})

// ------------------------------------------------------------------------------------------ plain formulas

/** What the network makes of a row, in use; of layers linear, batch-norm, dropout and relu. */
export function logitsOf(classifier: Classifier, row: Float32Array): number[] {
  const { network, input } = classifier
  const length = input.unitLength ? Math.hypot(...row) || 1 : 1
  let values = Array.from(row, (x, i) => (x / length - (input.mean[i] as number)) * (input.scale[i] as number))
  let [parameters, buffers] = [classifier.parameters, classifier.buffers]
  const take = (count: number) => {
    const taken = parameters.subarray(0, count)
    parameters = parameters.subarray(count)
    return taken
  }
  for (const layer of network.layers) {
    const width = values.length
    if (layer.type === 'linear') {
      const weight = take(layer.outputs * width)
      const bias = layer.bias ? take(layer.outputs) : new Float32Array(layer.outputs)
      values = Array.from(bias, (bias, out) =>
        values.reduce((sum, x, i) => sum + x * (weight[out * width + i] ?? 0), bias)
      )
    } else if (layer.type === 'batch-norm') {
      const [weight, bias] = [take(width), take(width)]
      const [mean, variance] = [buffers.subarray(0, width), buffers.subarray(width, 2 * width)]
      buffers = buffers.subarray(2 * width)
      values = values.map((x, i) => {
        const normal = (x - (mean[i] as number)) / Math.sqrt((variance[i] as number) + layer.epsilon)
        return normal * (weight[i] as number) + (bias[i] as number)
      })
    } else if (layer.type === 'relu') {
      values = values.map((x) => Math.max(0, x))
    } else if (layer.type !== 'dropout') {
      throw new Error(`no plain formula for ${layer.type}`)
    }
  }
  return values
}

/** The logits of rows of the request, by row. */
export const logitsOfRows = (classifier: Classifier, { vectors, dimensions }: TrainingRequest, rows: number[]) =>
  rows.map((row) => logitsOf(classifier, vectors.subarray(row * dimensions, (row + 1) * dimensions)))

export const argmax = (values: readonly number[]) => values.indexOf(Math.max(...values))

export function softmax(logits: readonly number[], temperature = 1): number[] {
  const largest = Math.max(...logits)
  const powers = logits.map((logit) => Math.exp((logit - largest) / temperature))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map((power) => power / sum)
}

/** A row's target distribution: the histogram of the labels of its first neighbors and of itself. */
export function sharesOf({ labels, neighbors, neighborsPerRow, softLabels, bins }: TrainingRequest, row: number) {
  const nearest = neighbors.subarray(row * neighborsPerRow, row * neighborsPerRow + softLabels)
  const shares = Array<number>(bins).fill(0)
  for (const point of [...nearest, row]) (shares[labels[point] as number] as number) += 1 / (softLabels + 1)
  return shares
}

/** Mean over rows. */
export function crossEntropy(logits: number[][], shares: number[][], temperature = 1): number {
  const losses = logits.map((row, i) => {
    const probabilities = softmax(row, temperature)
    return shares[i]?.reduce(
      (sum, share, bin) => (share > 0 ? sum - share * Math.log(probabilities[bin] ?? 0) : sum),
      0
    )
  })
  return mean(losses as number[])
}

export const mean = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0) / values.length
