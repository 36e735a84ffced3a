import { type InputShape, type Layer, sizeOf } from '../../../classifier/network.js'
import type { Steps } from '../turns.js'
import type { Gradients, LayerWeights, Pass, TrainingLayer } from './layer.js'
import type { MatrixProduct, Operand } from './matrix-product.js'
import type { Reals, Room } from './reals.js'

/** Half-open. */
interface Range {
  begin: number
  end: number
}

/** Convolution as a matrix product of unrolled windows (Chellapilla, Puri & Simard, "High Performance Convolutional Neural
 * Networks for Document Processing", IWFHR 2006), image by image. */
export class Convolution implements TrainingLayer {
  readonly #layer: Extract<Layer, { type: 'conv2d' }>
  readonly #before: InputShape
  readonly #after: InputShape
  readonly #product: MatrixProduct
  /** Numbers in a window, and weights of a filter. */
  readonly #depth: number
  /** Pixels that leave for each channel. */
  readonly #pixels: number
  /** Those windows along each axis whose element of this number lies on the image. */
  readonly #lines: Range[]
  readonly #columns: Range[]
  /** Unrolled: depth x pixels. */
  readonly #windows: Float64Array<ArrayBuffer>

  constructor(
    layer: Extract<Layer, { type: 'conv2d' }>,
    before: InputShape,
    after: InputShape,
    product: MatrixProduct,
    room: Room
  ) {
    this.#layer = layer
    this.#before = before
    this.#after = after
    this.#product = product
    this.#depth = before[0] * layer.kernel ** 2
    this.#pixels = after[1] * after[2]
    const taps = Array.from({ length: layer.kernel }, (_, tap) => tap)
    this.#lines = taps.map((tap) => windowsOnImage(layer, tap, before[1], after[1]))
    this.#columns = taps.map((tap) => windowsOnImage(layer, tap, before[2], after[2]))
    this.#windows = room(Float64Array, this.#depth * this.#pixels)
  }

  *forward({ rows }: Pass, { parameters }: LayerWeights, from: Reals, to: Reals): Steps<void> {
    const channels = this.#layer.channels
    const size = { rows: channels, columns: this.#pixels, depth: this.#depth }
    for (let row = 0; row < rows; row++) {
      yield* this.#unroll(this.#imageOf(from, row))
      const out = this.#outputsOf(to, row)
      yield* this.#product.multiply(size, this.#filters(parameters, false), this.#unrolled(false), out)
      if (this.#layer.bias) this.#addBias(parameters.subarray(channels * this.#depth), out)
      yield 0
    }
  }

  *backward(
    { rows, first }: Pass,
    { parameters, from, outGradient, inGradient, parameterGradient }: Gradients
  ): Steps<void> {
    const [channels, pixels, depth] = [this.#layer.channels, this.#pixels, this.#depth]
    const biases = parameterGradient.subarray(channels * depth)
    if (first === 0) parameterGradient.fill(0)
    for (let row = 0; row < rows; row++) {
      const values = this.#outputsOf(outGradient, row)
      yield* this.#unroll(this.#imageOf(from, row))
      const delta: Operand = { values, stride: pixels, isTransposed: false }
      const weightSize = { rows: channels, columns: depth, depth: pixels }
      yield* this.#product.multiply(weightSize, delta, this.#unrolled(true), parameterGradient, true)
      if (this.#layer.bias) this.#sumPixels(values, biases)
      yield 0
      if (inGradient === undefined) continue
      const windowSize = { rows: depth, columns: pixels, depth: channels }
      yield* this.#product.multiply(windowSize, this.#filters(parameters, true), delta, this.#windows)
      yield* this.#fold(this.#imageOf(inGradient, row).fill(0))
    }
  }

  #imageOf = (values: Reals, row: number): Reals =>
    values.subarray(row * sizeOf(this.#before), (row + 1) * sizeOf(this.#before))

  #outputsOf = (values: Reals, row: number): Reals =>
    values.subarray(row * sizeOf(this.#after), (row + 1) * sizeOf(this.#after))

  #filters = (values: Reals, isTransposed: boolean): Operand => ({ values, stride: this.#depth, isTransposed })

  #unrolled = (isTransposed: boolean): Operand => ({ values: this.#windows, stride: this.#pixels, isTransposed })

  #addBias(biases: Reals, out: Reals): void {
    for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) + (biases[Math.floor(i / this.#pixels)] as number)
  }

  #sumPixels(delta: Reals, sums: Reals): void {
    for (let channel = 0; channel < this.#layer.channels; channel++) {
      let sum = 0
      for (let i = channel * this.#pixels; i < (channel + 1) * this.#pixels; i++) sum += delta[i] as number
      sums[channel] = (sums[channel] as number) + sum
    }
  }

  /** What lies in the padding is 0. */
  *#unroll(image: Reals): Steps<void> {
    const windows = this.#windows.fill(0)
    const { stride } = this.#layer
    yield* this.#eachLine((window, pixel, count) => {
      for (let i = 0; i < count; i++) windows[window + i] = image[pixel + i * stride] as number
    })
  }

  /** The other way: adds every entry of the unrolled windows to the number that it came from. */
  *#fold(image: Reals): Steps<void> {
    const windows = this.#windows
    const { stride } = this.#layer
    yield* this.#eachLine((window, pixel, count) => {
      for (let i = 0, at = pixel; i < count; i++, at += stride)
        image[at] = (image[at] as number) + (windows[window + i] as number)
    })
  }

  /** Calls `visit` for each run of `count` entries of the unrolled windows, from `window` on, that lie on the image: from
   * `pixel` on, `stride` numbers apart. */
  *#eachLine(visit: (window: number, pixel: number, count: number) => void): Steps<void> {
    const [, height, width] = this.#before
    const outWidth = this.#after[2]
    const { kernel, stride, padding } = this.#layer
    for (let row = 0; row < this.#depth; row++) {
      const channel = Math.floor(row / kernel ** 2)
      const [down, right] = [Math.floor(row / kernel) % kernel, row % kernel]
      const lines = this.#lines[down] as Range
      const columns = this.#columns[right] as Range
      for (let line = lines.begin; line < lines.end; line++) {
        const y = line * stride + down - padding
        const x = columns.begin * stride + right - padding
        const window = row * this.#pixels + line * outWidth + columns.begin
        visit(window, (channel * height + y) * width + x, columns.end - columns.begin)
      }
      if (row % 16 === 15) yield 0
    }
  }
}

/** Those of `outputs` windows along one axis whose element number `tap` lies on the image of `inputs` pixels. */
function windowsOnImage(
  { stride, padding }: Extract<Layer, { type: 'conv2d' }>,
  tap: number,
  inputs: number,
  outputs: number
): Range {
  // The first window whose tap lies at `pixel` or behind it.
  const firstAt = (pixel: number) => Math.min(Math.max(0, Math.ceil((pixel + padding - tap) / stride)), outputs)
  return { begin: firstAt(0), end: firstAt(inputs) }
}
