import { type InputShape, type Layer, sizeOf } from '../../../classifier/network.js'
import type { Steps } from '../turns.js'
import type { Gradients, LayerWeights, Pass, TrainingLayer } from './layer.js'
import { type Reals, rowsOfStep } from './reals.js'

/** Ioffe & Szegedy, ICML 2015. Each channel is normalized over the batch and the channel's pixels. */
export class BatchNorm implements TrainingLayer {
  readonly #layer: Extract<Layer, { type: 'batch-norm' }>
  readonly #channels: number
  readonly #pixels: number
  readonly #columns: number
  // Of the batch: what the backward pass needs of the forward one, for each channel.
  readonly #means: Float64Array
  readonly #inverseDeviations: Float64Array
  /** Sums over the batch, for each channel. */
  readonly #first: Float64Array
  readonly #second: Float64Array

  constructor(layer: Extract<Layer, { type: 'batch-norm' }>, shape: InputShape) {
    const [channels, height, width] = shape
    this.#layer = layer
    this.#channels = channels
    this.#pixels = height * width
    this.#columns = sizeOf(shape)
    this.#means = new Float64Array(channels)
    this.#inverseDeviations = new Float64Array(channels)
    this.#first = new Float64Array(channels)
    this.#second = new Float64Array(channels)
  }

  *forward(pass: Pass, weights: LayerWeights, from: Reals, to: Reals): Steps<void> {
    if (pass.isTraining) yield* this.#measure(pass, weights.buffers, from)
    else this.#recall(weights.buffers)
    const { parameters } = weights
    yield* this.#eachRun(pass.rows, (channel, begin, end) => {
      const center = this.#means[channel] as number
      const scale = (parameters[channel] as number) * (this.#inverseDeviations[channel] as number)
      const shift = parameters[this.#channels + channel] as number
      for (let i = begin; i < end; i++) to[i] = ((from[i] as number) - center) * scale + shift
    })
  }

  *backward({ rows }: Pass, { parameters, from, outGradient, inGradient, parameterGradient }: Gradients): Steps<void> {
    const [means, inverses] = [this.#means, this.#inverseDeviations]
    const [gradients, products] = [this.#first.fill(0), this.#second.fill(0)]
    yield* this.#eachRun(rows, (channel, begin, end) => {
      const center = means[channel] as number
      let [gradient, product] = [gradients[channel] as number, products[channel] as number]
      for (let i = begin; i < end; i++) {
        gradient += outGradient[i] as number
        product += (outGradient[i] as number) * ((from[i] as number) - center)
      }
      gradients[channel] = gradient
      products[channel] = product
    })
    for (let channel = 0; channel < this.#channels; channel++) {
      parameterGradient[channel] = (products[channel] as number) * (inverses[channel] as number)
      parameterGradient[this.#channels + channel] = gradients[channel] as number
    }
    if (inGradient === undefined) return
    const count = rows * this.#pixels
    yield* this.#eachRun(rows, (channel, begin, end) => {
      const [center, inverse] = [means[channel] as number, inverses[channel] as number]
      const scale = (parameters[channel] as number) * inverse
      const slope = (-scale * inverse * inverse * (products[channel] as number)) / count
      const constant = (-scale * (gradients[channel] as number)) / count
      for (let i = begin; i < end; i++)
        inGradient[i] = (outGradient[i] as number) * scale + ((from[i] as number) - center) * slope + constant
    })
  }

  /** The batch's mean and variance, in two passes over it; the running ones follow them. */
  *#measure({ rows }: Pass, buffers: Reals, from: Reals): Steps<void> {
    const count = rows * this.#pixels
    const [means, squares] = [this.#means.fill(0), this.#second.fill(0)]
    yield* this.#eachRun(rows, (channel, begin, end) => {
      let sum = 0
      for (let i = begin; i < end; i++) sum += from[i] as number
      means[channel] = (means[channel] as number) + sum / count
    })
    yield* this.#eachRun(rows, (channel, begin, end) => {
      const center = means[channel] as number
      let sum = 0
      for (let i = begin; i < end; i++) sum += ((from[i] as number) - center) ** 2
      squares[channel] = (squares[channel] as number) + sum
    })
    const { momentum, epsilon } = this.#layer
    const follow = (at: number, value: number) => {
      buffers[at] = (1 - momentum) * (buffers[at] as number) + momentum * value
    }
    for (let channel = 0; channel < this.#channels; channel++) {
      const variance = (squares[channel] as number) / count
      follow(channel, means[channel] as number)
      follow(this.#channels + channel, count > 1 ? (squares[channel] as number) / (count - 1) : variance)
      this.#inverseDeviations[channel] = 1 / Math.sqrt(variance + epsilon)
    }
  }

  /** The running mean and variance. */
  #recall(buffers: Reals): void {
    for (let channel = 0; channel < this.#channels; channel++) {
      this.#means[channel] = buffers[channel] as number
      this.#inverseDeviations[channel] =
        1 / Math.sqrt((buffers[this.#channels + channel] as number) + this.#layer.epsilon)
    }
  }

  /** Calls `visit` for each row's numbers [begin, end) of each channel. */
  *#eachRun(rows: number, visit: (channel: number, begin: number, end: number) => void): Steps<void> {
    const together = rowsOfStep(this.#columns)
    for (let row = 0; row < rows; row++) {
      for (let channel = 0, begin = row * this.#columns; channel < this.#channels; channel++, begin += this.#pixels)
        visit(channel, begin, begin + this.#pixels)
      if (row % together === 0) yield 0
    }
  }
}
