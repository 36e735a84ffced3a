/** The layers that there are, each with its numbers, their ranges and their defaults, which are PyTorch's. */
import { largestId } from '../checks/arrays.js'
import {
  boolean,
  Entry,
  integer,
  List,
  nonNegative,
  Optional,
  oneOf,
  positive,
  real,
  type Tables,
  Variants
} from '../checks/fields.js'
import type { ActivationType, Layer } from './network.js'

/** Outputs of a layer, and sides of its windows. */
const largestWidth = 65_536

export const width = integer(1, largestWidth)
const padding = integer(0, largestWidth, 0)
/** The stride is the kernel's side unless it is given: windows that touch and do not overlap. */
const pool = { kernel: width, stride: new Optional(width), padding }

const activations = {
  identity: {},
  step: {},
  sigmoid: {},
  tanh: {},
  relu: {},
  relu6: {},
  'leaky-relu': { slope: real(0, 1, 0.01) },
  elu: { alpha: nonNegative(1) },
  selu: {},
  softplus: {},
  gelu: {},
  softmax: {}
}

export const activationTypes = Object.keys(activations) as ActivationType[]

const trained = (mostOutputs: number) => ({
  linear: { outputs: integer(1, mostOutputs), bias: boolean(true) },
  conv2d: { channels: width, kernel: width, stride: integer(1, largestWidth, 1), padding, bias: boolean(true) },
  'max-pool2d': pool,
  'average-pool2d': pool,
  'batch-norm': { momentum: real(0, 1, 0.1), epsilon: positive(1e-5) },
  // Beyond 0.99 nearly nothing would be left to learn from.
  dropout: { rate: real(0, 0.99, 0.5) },
  flatten: {},
  ...activations
})

/** Only in a network that was not trained. */
const rules = {
  'tree-leaves': { leaves: integer(2, largestId), rule: oneOf(['squared-margin', 'log-sigmoid']) },
  'sign-codes': { bits: integer(1, 24) },
  'cross-polytope': { dimensions: new List(width, 8) }
}

export const isRule = (type: string | undefined) => type !== undefined && Object.hasOwn(rules, type)

class LayerEntry extends Entry<Layer> {
  readonly #variants

  constructor(tables: Tables) {
    super()
    this.#variants = new Variants(tables)
  }

  read(value: unknown, name: string): Layer {
    const layer = this.#variants.read(value, name) as Layer
    return 'kernel' in layer ? { ...layer, stride: layer.stride ?? layer.kernel } : layer
  }
}

/** A layer as users describe it. */
export const layer: Entry<Layer> = new LayerEntry(trained(largestWidth))

/** A layer of a whole network, whose last one has as many outputs as there are bins. */
export const anyLayer: Entry<Layer> = new LayerEntry({ ...trained(largestId), ...rules })
