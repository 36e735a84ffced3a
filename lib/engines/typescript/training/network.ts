/** The network's two passes: forward and, for training, backward (Rumelhart, Hinton & Williams 1986). */
import {
  bufferCount,
  type InputShape,
  type Network,
  parameterCount,
  shapesOf,
  sizeOf
} from '../../../classifier/network.js'
import { SplitMix } from '../split-mix.js'
import type { Steps } from '../turns.js'
import type { LayerWeights, Pass, TrainingLayer } from './layer.js'
import { trainingLayer } from './layers.js'
import { MatrixProduct } from './matrix-product.js'
import { ordinaryRoom, type Precision, type Reals, type Room } from './reals.js'

/** A layer, and where its weights lie. */
interface Placed {
  layer: TrainingLayer
  parameters: [begin: number, end: number]
  buffers: [begin: number, end: number]
}

/** Which rows of a batch pass through a network: `rows` of them, from number `first` on. */
export interface BatchPart {
  rows: number
  first: number
  /** Layer l's mask is drawn from the l-th output of this seed's generator, l from 0. */
  seed: bigint
}

/** How many a row takes, about, in a forward pass: a weight is multiplied once for each pixel that leaves its layer. */
export function multiplicationsOf(network: Network): number {
  const shapes = [network.inputShape, ...shapesOf(network)]
  const ofLayer = network.layers.map((layer, i) => {
    const [before, [, height, width]] = [shapes[i], shapes[i + 1]] as [InputShape, InputShape]
    return parameterCount({ inputShape: before, layers: [layer] }) * height * width
  })
  return ofLayer.reduce((sum, count) => sum + count, 0)
}

/** Everything between a batch and its gradient, allocated once. */
export class TrainingNetwork {
  readonly #layers: Placed[] = []
  /** What enters each layer, and what leaves the last. */
  readonly #values: Reals[]
  /** Of what enters each layer and of what leaves the last: by turns. */
  readonly #gradients: [Reals, Reals]
  #seeds: bigint[] = []

  /** For up to `mostRows` rows at once, in this precision. What is multiplied lies in the `room`. */
  constructor(
    network: Network,
    mostRows: number,
    precision: Precision,
    room: Room = ordinaryRoom,
    product = new MatrixProduct()
  ) {
    const shapes = [network.inputShape, ...shapesOf(network)]
    let [parameters, buffers] = [0, 0]
    for (const [i, layer] of network.layers.entries()) {
      const [before, after] = [shapes[i], shapes[i + 1]] as [InputShape, InputShape]
      const alone: Network = { inputShape: before, layers: [layer] }
      const end = { parameters: parameters + parameterCount(alone), buffers: buffers + bufferCount(alone) }
      this.#layers.push({
        layer: trainingLayer(layer, before, after, product, room),
        parameters: [parameters, end.parameters],
        buffers: [buffers, end.buffers]
      })
      parameters = end.parameters
      buffers = end.buffers
    }
    const widest = Math.max(...shapes.map(sizeOf))
    const numbers = (count: number) => room<Reals>(precision, count)
    this.#values = shapes.map((shape) => numbers(mostRows * sizeOf(shape)))
    this.#gradients = [numbers(mostRows * widest), numbers(mostRows * widest)]
  }

  /** rows x inputs, to be filled before a forward pass. */
  get inputs(): Reals {
    return this.#values[0] as Reals
  }

  /** rows x outputs, after a forward pass. */
  get outputs(): Reals {
    return this.#values.at(-1) as Reals
  }

  /** rows x outputs: the loss's gradient with respect to them, to be filled before `backward`. */
  get outputGradient(): Reals {
    return this.#gradientOf(this.#layers.length)
  }

  /** rows x inputs, after a backward pass that was asked for it. */
  get inputGradient(): Reals {
    return this.#gradientOf(0)
  }

  /** In training: dropout drops, batch norm normalizes with the batch's statistics and updates the buffers. */
  *forward(weights: LayerWeights, part: BatchPart): Steps<void> {
    const random = new SplitMix(part.seed)
    this.#seeds = this.#layers.map(() => random.seed())
    yield* this.#pass(weights, part, true)
  }

  /** In use. */
  *infer(weights: LayerWeights, rows: number): Steps<void> {
    yield* this.#pass(weights, { rows, first: 0 }, false)
  }

  /** Writes the gradient with respect to the parameters or, where the part is not the batch's first, adds to it. */
  *backward(parameters: Reals, part: BatchPart, gradient: Reals, wantsInputs = false): Steps<void> {
    // In front of the first layer with something to learn nobody wants a gradient.
    const learning = this.#layers.findIndex(({ parameters: [begin, end] }) => end > begin)
    const first = wantsInputs ? 0 : learning < 0 ? this.#layers.length : learning
    for (let l = this.#layers.length - 1; l >= first; l--) {
      const { layer, parameters: own } = this.#layers[l] as Placed
      yield* layer.backward(this.#passOf(l, part, true), {
        parameters: parameters.subarray(...own),
        from: this.#values[l] as Reals,
        to: this.#values[l + 1] as Reals,
        outGradient: this.#gradientOf(l + 1),
        inGradient: l > first || wantsInputs ? this.#gradientOf(l) : undefined,
        parameterGradient: gradient.subarray(...own)
      })
    }
  }

  *#pass({ parameters, buffers }: LayerWeights, part: Omit<BatchPart, 'seed'>, isTraining: boolean): Steps<void> {
    for (const [l, { layer, ...own }] of this.#layers.entries()) {
      const weights = { parameters: parameters.subarray(...own.parameters), buffers: buffers.subarray(...own.buffers) }
      const [from, to] = [this.#values[l], this.#values[l + 1]] as [Reals, Reals]
      yield* layer.forward(this.#passOf(l, part, isTraining), weights, from, to)
    }
  }

  #passOf(layer: number, { rows, first }: Omit<BatchPart, 'seed'>, isTraining: boolean): Pass {
    return { rows, first, isTraining, seed: this.#seeds[layer] ?? 0n }
  }

  #gradientOf(layer: number): Reals {
    return this.#gradients[layer % 2] as Reals
  }
}
