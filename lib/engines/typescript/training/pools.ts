/** Pooling, plane by plane: a plane is one channel of one row. */
import { type InputShape, type Layer, sizeOf } from '../../../classifier/network.js'
import { type Pool, type Span, windowsOf } from '../images.js'
import type { Steps } from '../turns.js'
import type { Gradients, LayerWeights, Pass, TrainingLayer } from './layer.js'
import type { Reals } from './reals.js'

/** The pixels of each window that lie on the image: window w has pixels[offsets[w]] to pixels[offsets[w + 1] - 1]. */
interface Windows {
  offsets: Int32Array
  pixels: Int32Array
}

function pixelsOfWindows(layer: Pool, before: InputShape, after: InputShape): Windows {
  const offsets = [0]
  const pixels: number[] = []
  windowsOf(layer, before, after, (_, down: Span, right: Span) => {
    for (let y = down.begin; y < down.end; y++)
      for (let x = right.begin; x < right.end; x++) pixels.push((down.start + y) * before[2] + right.start + x)
    offsets.push(pixels.length)
  })
  return { offsets: Int32Array.from(offsets), pixels: Int32Array.from(pixels) }
}

abstract class Pooling implements TrainingLayer {
  protected readonly windows: Windows
  /** Of a plane that enters, and of one that leaves. */
  protected readonly inPixels: number
  protected readonly outPixels: number
  readonly #channels: number

  constructor(layer: Pool, before: InputShape, after: InputShape) {
    this.windows = pixelsOfWindows(layer, before, after)
    this.#channels = before[0]
    this.inPixels = sizeOf(before) / before[0]
    this.outPixels = sizeOf(after) / after[0]
  }

  *forward({ rows }: Pass, _: LayerWeights, from: Reals, to: Reals): Steps<void> {
    const planes = rows * this.#channels
    this.reserve(planes)
    for (let plane = 0; plane < planes; plane++) {
      this.summarize(plane, from, to)
      yield 0
    }
  }

  *backward({ rows }: Pass, { outGradient, inGradient }: Gradients): Steps<void> {
    if (inGradient === undefined) return
    for (let plane = 0; plane < rows * this.#channels; plane++) {
      inGradient.fill(0, plane * this.inPixels, (plane + 1) * this.inPixels)
      this.spread(plane, outGradient, inGradient)
      yield 0
    }
  }

  protected reserve(_planes: number): void {}
  protected abstract summarize(plane: number, from: Reals, to: Reals): void
  /** Adds the gradient of what left a plane to that of what entered it. */
  protected abstract spread(plane: number, outGradient: Reals, inGradient: Reals): void
}

export class MaxPool extends Pooling {
  /** Of the forward pass: for each number that left, the pixel that it is. */
  #winners = new Int32Array(0)

  protected override reserve(planes: number): void {
    const needed = planes * this.outPixels
    if (this.#winners.length < needed) this.#winners = new Int32Array(needed)
  }

  /** The first of equal ones wins. NaN is larger than any number, so that divergence does not go unnoticed. */
  protected summarize(plane: number, from: Reals, to: Reals): void {
    const { offsets, pixels } = this.windows
    const [first, out] = [plane * this.inPixels, plane * this.outPixels]
    for (let window = 0; window < this.outPixels; window++) {
      let winner = first + (pixels[offsets[window] as number] as number)
      for (let i = (offsets[window] as number) + 1; i < (offsets[window + 1] as number); i++) {
        const at = first + (pixels[i] as number)
        const value = from[at] as number
        if (value > (from[winner] as number) || Number.isNaN(value)) winner = at
      }
      this.#winners[out + window] = winner
      to[out + window] = from[winner] as number
    }
  }

  protected spread(plane: number, outGradient: Reals, inGradient: Reals): void {
    for (let i = plane * this.outPixels; i < (plane + 1) * this.outPixels; i++) {
      const winner = this.#winners[i] as number
      inGradient[winner] = (inGradient[winner] as number) + (outGradient[i] as number)
    }
  }
}

/** The padding counts as zeros. */
export class AveragePool extends Pooling {
  /** Of a pixel in its window's average. */
  readonly #share: number

  constructor(layer: Extract<Layer, { type: 'max-pool2d' | 'average-pool2d' }>, before: InputShape, after: InputShape) {
    super(layer, before, after)
    this.#share = 1 / layer.kernel ** 2
  }

  protected summarize(plane: number, from: Reals, to: Reals): void {
    const { offsets, pixels } = this.windows
    const [first, out] = [plane * this.inPixels, plane * this.outPixels]
    for (let window = 0; window < this.outPixels; window++) {
      let sum = 0
      for (let i = offsets[window] as number; i < (offsets[window + 1] as number); i++)
        sum += from[first + (pixels[i] as number)] as number
      to[out + window] = this.#share * sum
    }
  }

  protected spread(plane: number, outGradient: Reals, inGradient: Reals): void {
    const { offsets, pixels } = this.windows
    const [first, out] = [plane * this.inPixels, plane * this.outPixels]
    for (let window = 0; window < this.outPixels; window++) {
      const share = this.#share * (outGradient[out + window] as number)
      for (let i = offsets[window] as number; i < (offsets[window + 1] as number); i++) {
        const at = first + (pixels[i] as number)
        inGradient[at] = (inGradient[at] as number) + share
      }
    }
  }
}
