/** The layers over images: convolution and pooling, window by window. */
import type { InputShape, Layer } from '../../classifier/network.js'

/** What a layer makes of a row `from`, written to `to`. */
export type LayerPass = (from: Float64Array, to: Float64Array) => void

type Convolution = Extract<Layer, { type: 'conv2d' }>
export type Pool = Extract<Layer, { type: 'max-pool2d' | 'average-pool2d' }>

/** Half-open: which of a window's rows or columns lie on the image. */
export interface Span {
  /** Where the window begins on the image; below 0 in the padding. */
  start: number
  begin: number
  end: number
}

function spanOf({ kernel, stride, padding }: Convolution | Pool, window: number, side: number): Span {
  const start = window * stride - padding
  return { start, begin: Math.max(0, -start), end: Math.min(kernel, side - start) }
}

/** Calls `visit` for each window of a plane, line by line, with its spans downwards and to the right. */
export function windowsOf(
  layer: Convolution | Pool,
  [, height, width]: InputShape,
  [, lines, columns]: InputShape,
  visit: (window: number, down: Span, right: Span) => void
): void {
  const toTheRight = Array.from({ length: columns }, (_, column) => spanOf(layer, column, width))
  for (let line = 0; line < lines; line++) {
    const down = spanOf(layer, line, height)
    for (const [column, right] of toTheRight.entries()) visit(line * columns + column, down, right)
  }
}

/** `weights`: [out, in, kernel, kernel], then [out] where there are biases. */
export function convolution(
  layer: Convolution,
  weights: Float32Array,
  before: InputShape,
  after: InputShape
): LayerPass {
  const [channels, height, width] = before
  const { kernel, bias } = layer
  const depth = channels * kernel * kernel
  const pixels = after[1] * after[2]
  const sumOver = (from: Float64Array, filter: number, down: Span, right: Span) => {
    let sum = 0
    for (let channel = 0; channel < channels; channel++) {
      for (let y = down.begin; y < down.end; y++) {
        const weight = filter + (channel * kernel + y) * kernel
        const pixel = (channel * height + down.start + y) * width + right.start
        for (let x = right.begin; x < right.end; x++)
          sum += (weights[weight + x] as number) * (from[pixel + x] as number)
      }
    }
    return sum
  }
  return (from, to) => {
    for (let out = 0; out < layer.channels; out++) {
      const shift = bias ? (weights[layer.channels * depth + out] as number) : 0
      windowsOf(layer, before, after, (window, down, right) => {
        to[out * pixels + window] = shift + sumOver(from, out * depth, down, right)
      })
    }
  }
}

/** Zeros of the padding count in the average and never are the maximum. */
export function pool(layer: Pool, before: InputShape, after: InputShape): LayerPass {
  const [channels, height, width] = before
  const pixels = after[1] * after[2]
  const summarize = layer.type === 'max-pool2d' ? largestOf : meanOf
  return (from, to) => {
    for (let channel = 0; channel < channels; channel++) {
      const plane = from.subarray(channel * height * width, (channel + 1) * height * width)
      windowsOf(layer, before, after, (window, down, right) => {
        to[channel * pixels + window] = summarize(plane, width, down, right, layer.kernel)
      })
    }
  }
}

function largestOf(plane: Float64Array, width: number, down: Span, right: Span): number {
  let largest = Number.NEGATIVE_INFINITY
  for (let y = down.begin; y < down.end; y++) {
    const pixel = (down.start + y) * width + right.start
    for (let x = right.begin; x < right.end; x++) largest = Math.max(largest, plane[pixel + x] as number)
  }
  return largest
}

function meanOf(plane: Float64Array, width: number, down: Span, right: Span, kernel: number): number {
  let sum = 0
  for (let y = down.begin; y < down.end; y++) {
    const pixel = (down.start + y) * width + right.start
    for (let x = right.begin; x < right.end; x++) sum += plane[pixel + x] as number
  }
  return sum / kernel ** 2
}
