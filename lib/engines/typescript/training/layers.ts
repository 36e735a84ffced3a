/** The layers over plain rows, with the meaning of PyTorch's modules. */
import { type InputShape, type Layer, sizeOf } from '../../../classifier/network.js'
import { activationOf } from '../activations.js'
import type { Steps } from '../turns.js'
import { slopeOf } from './activation-slopes.js'
import { BatchNorm } from './batch-norm.js'
import { Convolution } from './convolution.js'
import { Dropout } from './dropout.js'
import type { Gradients, LayerWeights, Pass, TrainingLayer } from './layer.js'
import type { MatrixProduct } from './matrix-product.js'
import { AveragePool, MaxPool } from './pools.js'
import { numbersOfStep, type Reals, type Room, rowsOfStep } from './reals.js'

/** `before` and `after` are the shapes of the rows that enter and leave it. */
export function trainingLayer(
  layer: Layer,
  before: InputShape,
  after: InputShape,
  product: MatrixProduct,
  room: Room
): TrainingLayer {
  switch (layer.type) {
    case 'linear':
      return new Linear(layer, before[0], product)
    case 'conv2d':
      return new Convolution(layer, before, after, product, room)
    case 'max-pool2d':
      return new MaxPool(layer, before, after)
    case 'average-pool2d':
      return new AveragePool(layer, before, after)
    case 'batch-norm':
      return new BatchNorm(layer, before)
    case 'dropout':
      return new Dropout(layer, sizeOf(before))
    case 'flatten':
      // Rows are flat already.
      return new ElementWise({ type: 'identity' }, sizeOf(before))
    case 'softmax':
      return new Softmax(before[0])
    case 'tree-leaves':
    case 'sign-codes':
    case 'cross-polytope':
      throw new TypeError(`${layer.type} is no layer to be trained`)
    default:
      return new ElementWise(layer, sizeOf(before))
  }
}

/** out = in weight^T + bias. */
class Linear implements TrainingLayer {
  readonly #inputs: number
  readonly #outputs: number
  readonly #hasBias: boolean
  readonly #product: MatrixProduct
  readonly #sums: Float64Array

  constructor({ outputs, bias }: Extract<Layer, { type: 'linear' }>, inputs: number, product: MatrixProduct) {
    this.#inputs = inputs
    this.#outputs = outputs
    this.#hasBias = bias
    this.#product = product
    this.#sums = new Float64Array(outputs)
  }

  *forward({ rows }: Pass, { parameters }: LayerWeights, from: Reals, to: Reals): Steps<void> {
    const [inputs, outputs] = [this.#inputs, this.#outputs]
    yield* this.#product.multiply(
      { rows, columns: outputs, depth: inputs },
      { values: from, stride: inputs, isTransposed: false },
      { values: parameters, stride: inputs, isTransposed: true },
      to
    )
    if (!this.#hasBias) return
    for (let row = 0, together = rowsOfStep(outputs); row < rows; row += together) {
      addToRows(parameters, inputs * outputs, to, row, Math.min(row + together, rows), outputs)
      yield 0
    }
  }

  *backward(
    { rows, first }: Pass,
    { parameters, from, outGradient, inGradient, parameterGradient }: Gradients
  ): Steps<void> {
    const [inputs, outputs] = [this.#inputs, this.#outputs]
    yield* this.#product.multiply(
      { rows: outputs, columns: inputs, depth: rows },
      { values: outGradient, stride: outputs, isTransposed: true },
      { values: from, stride: inputs, isTransposed: false },
      parameterGradient,
      first > 0
    )
    if (this.#hasBias) yield* this.#sumRows(rows, outGradient, parameterGradient.subarray(inputs * outputs), first > 0)
    if (inGradient === undefined) return
    yield* this.#product.multiply(
      { rows, columns: inputs, depth: outputs },
      { values: outGradient, stride: outputs, isTransposed: false },
      { values: parameters, stride: inputs, isTransposed: false },
      inGradient
    )
  }

  *#sumRows(rows: number, values: Reals, to: Reals, adds: boolean): Steps<void> {
    const sums = this.#sums.fill(0)
    for (let row = 0, together = rowsOfStep(sums.length); row < rows; row += together) {
      addRows(values, row, Math.min(row + together, rows), sums)
      yield 0
    }
    for (let i = 0; i < sums.length; i++) to[i] = (adds ? (to[i] as number) : 0) + (sums[i] as number)
  }
}

/** Adds the numbers of `added` from `at` on to each of the rows [row, end). */
function addToRows(added: Reals, at: number, values: Reals, row: number, end: number, columns: number): void {
  for (let i = row * columns; i < end * columns; i += columns)
    for (let c = 0; c < columns; c++) values[i + c] = (values[i + c] as number) + (added[at + c] as number)
}

function addRows(values: Reals, row: number, end: number, sums: Float64Array): void {
  const columns = sums.length
  for (let i = row * columns; i < end * columns; i += columns)
    for (let c = 0; c < columns; c++) sums[c] = (sums[c] as number) + (values[i + c] as number)
}

class ElementWise implements TrainingLayer {
  readonly #columns: number
  readonly #activate: (x: number) => number
  readonly #slope: (x: number, y: number) => number

  constructor(layer: Parameters<typeof activationOf>[0], columns: number) {
    this.#columns = columns
    this.#activate = activationOf(layer)
    this.#slope = slopeOf(layer)
  }

  *forward({ rows }: Pass, _: LayerWeights, from: Reals, to: Reals): Steps<void> {
    const [count, activate] = [rows * this.#columns, this.#activate]
    for (let i = 0; i < count; ) {
      for (const end = Math.min(i + numbersOfStep, count); i < end; i++) to[i] = activate(from[i] as number)
      yield 0
    }
  }

  *backward({ rows }: Pass, { from, to, outGradient, inGradient }: Gradients): Steps<void> {
    if (inGradient === undefined) return
    const [count, slope] = [rows * this.#columns, this.#slope]
    for (let i = 0; i < count; ) {
      for (const end = Math.min(i + numbersOfStep, count); i < end; i++)
        inGradient[i] = (outGradient[i] as number) * slope(from[i] as number, to[i] as number)
      yield 0
    }
  }
}

/** Over the numbers of a row. */
class Softmax implements TrainingLayer {
  readonly #columns: number

  constructor(columns: number) {
    this.#columns = columns
  }

  *forward({ rows }: Pass, _: LayerWeights, from: Reals, to: Reals): Steps<void> {
    const columns = this.#columns
    for (let i = 0; i < rows * columns; i += columns) {
      let largest = Number.NEGATIVE_INFINITY
      for (let c = i; c < i + columns; c++) largest = Math.max(largest, from[c] as number)
      let sum = 0
      for (let c = i; c < i + columns; c++) {
        const power = Math.exp((from[c] as number) - largest)
        to[c] = power
        sum += power
      }
      for (let c = i; c < i + columns; c++) to[c] = (to[c] as number) / sum
      yield 0
    }
  }

  *backward({ rows }: Pass, { to, outGradient, inGradient }: Gradients): Steps<void> {
    if (inGradient === undefined) return
    const columns = this.#columns
    for (let i = 0; i < rows * columns; i += columns) {
      let mean = 0
      for (let c = i; c < i + columns; c++) mean += (to[c] as number) * (outGradient[c] as number)
      for (let c = i; c < i + columns; c++) inGradient[c] = (to[c] as number) * ((outGradient[c] as number) - mean)
      yield 0
    }
  }
}
