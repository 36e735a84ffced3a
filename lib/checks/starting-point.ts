/** How the place where a training starts is judged before an engine reads it. */
import { bufferCount, type Network, parameterCount, readNetwork } from '../classifier/network.js'
import type { StartingPoint } from '../engines/engine.js'
import { ArgumentError } from '../errors.js'
import { checkArray, checkLength, largestId } from './arrays.js'
import { boolean, Entry, Field, integer, isNumber, Optional, positive, read, Section } from './fields.js'

class Floats extends Entry<Float32Array<ArrayBuffer>> {
  readonly #length: number | undefined
  readonly #formula: string

  /** Without a length any is right here. */
  constructor(length?: number, formula = '') {
    super()
    this.#length = length
    this.#formula = formula
  }

  read(value: unknown, name: string): Float32Array<ArrayBuffer> {
    checkArray(value, name, 'Float32Array')
    const floats = value as Float32Array<ArrayBuffer>
    if (this.#length !== undefined) checkLength(floats, this.#length, name, this.#formula)
    return floats
  }
}

const anything = new Optional(new Field<unknown>('anything', () => true))
const count = integer(0, largestId)
/** Infinite before the first epoch. */
const figure = new Field<number>('a number', (value) => isNumber(value) && !Number.isNaN(value))

const startTable = (network: Network, dimensions: number) => {
  const parameters = new Floats(parameterCount(network), 'the number of weights and biases')
  const buffers = new Floats(bufferCount(network), "the number of batch norm's means and variances")
  const features = new Floats(dimensions, 'dimensions')
  return {
    parameters,
    buffers: new Optional(buffers),
    input: new Optional(new Section({ unitLength: boolean(), mean: features, scale: features })),
    state: new Optional(
      new Section({
        epochs: count,
        steps: count,
        // The engine's optimizer knows how many there must be.
        slots: new Floats(),
        parameters,
        buffers,
        plateau: { lowestLoss: figure, staleEpochs: count, factor: positive() },
        bestValue: figure,
        bestEpoch: count
      })
    ),
    // What else a TrainedClassifier has.
    network: anything,
    temperature: anything,
    history: anything,
    bestEpoch: anything,
    calibration: anything,
    heldOut: anything
  }
}

/** A StartingPoint or a TrainedClassifier for this network; what comes back is a StartingPoint, its arrays the caller's
 * own. Whether the numbers are finite is for the engine to check. Throws ArgumentError. */
export function checkStart(start: unknown, network: Network, dimensions: number, name: string): StartingPoint {
  const given = read(startTable(network, dimensions), start ?? null, `${name}.`)
  if (given.network !== undefined) checkSame(readNetwork(given.network, `${name}.network`), network, `${name}.network`)
  const { parameters, buffers, input, state } = given
  return { parameters, buffers, input, state }
}

function checkSame(found: Network, network: Network, name: string): void {
  if (JSON.stringify(found) === JSON.stringify(network)) return
  throw new ArgumentError(name, 'must be the network that the other options describe, but is another')
}
