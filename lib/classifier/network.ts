/**
 * A network as plain data: one description that every engine runs and that the index file holds. The layers have the
 * names and the meaning of PyTorch's modules, and stand where they would stand in an nn.Sequential.
 */
import { largestId } from '../checks/arrays.js'
import { Entry, List, Optional, read } from '../checks/fields.js'
import { ArgumentError } from '../errors.js'
import { anyLayer, isRule, width } from './layers.js'

/** channels, height, width: what an image-shaped row of numbers is, row-major. */
export type InputShape = readonly [channels: number, height: number, width: number]

export type ActivationType =
  | 'identity'
  | 'step'
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'relu6'
  | 'leaky-relu'
  | 'elu'
  | 'selu'
  | 'softplus'
  | 'gelu'
  | 'softmax'

/** A layer with every number said. */
export type Layer =
  | {
      readonly type: 'linear'
      /** 1 to 65536. */
      readonly outputs: number
      /** Default true. */
      readonly bias: boolean
    }
  | {
      readonly type: 'conv2d'
      /** Channels that it makes, 1 to 65536. */
      readonly channels: number
      /** Side of the square window. */
      readonly kernel: number
      /** Default 1. */
      readonly stride: number
      /** Zeros on each side; default 0. */
      readonly padding: number
      /** Default true. */
      readonly bias: boolean
    }
  | {
      readonly type: 'max-pool2d' | 'average-pool2d'
      /** Side of the square window. */
      readonly kernel: number
      /** Default: the kernel's side. */
      readonly stride: number
      /** On each side, at most half the kernel: zeros, which count in the average and never are the maximum; default 0. */
      readonly padding: number
    }
  | {
      readonly type: 'batch-norm'
      /** Share of the newest batch in the running statistics, 0 to 1, default 0.1. */
      readonly momentum: number
      /** Added to the variance, above 0, default 1e-5. */
      readonly epsilon: number
    }
  | {
      readonly type: 'dropout'
      /** Share that is dropped, 0 to 0.99, default 0.5. */
      readonly rate: number
    }
  | { readonly type: 'flatten' }
  | {
      readonly type: 'leaky-relu'
      /** Below 0; 0 to 1, default 0.01. */
      readonly slope: number
    }
  | {
      readonly type: 'elu'
      /** From 0, default 1. */
      readonly alpha: number
    }
  | { readonly type: Exclude<ActivationType, 'leaky-relu' | 'elu' | 'softmax'> }
  | { readonly type: 'softmax' }
  | PartitionRule

/** The last layer of a router that a partition by projections brings along: turns the projections of a query into the
 * bins' logits. Not trained by gradients. */
export type PartitionRule =
  | {
      /** A balanced binary tree of hyperplanes: a node over c leaves has ceil(c / 2) of them to its left. leaves - 1
       * margins enter, the nodes' in preorder; a query belongs to the right where its margin is above 0. */
      readonly type: 'tree-leaves'
      /** From 2. */
      readonly leaves: number
      /** What a node adds to the logit of the leaves under it: -margin^2 where the query is on the other side, or the
       * logarithm of the sigmoid of +-margin, the probability of this side. */
      readonly rule: 'squared-margin' | 'log-sigmoid'
    }
  | {
      /** b numbers enter, 2^b leave: bit i (of value 2^i) of a bin is 1 where number i is above 0. A bin's logit is minus
       * the sum of the sizes of those whose signs differ from its bits. */
      readonly type: 'sign-codes'
      /** 1 to 24. */
      readonly bits: number
    }
  | {
      /** Vertices +-e_i of cross-polytopes: the numbers of all polytopes enter one after the other, a bin is a vertex of
       * each. A bin's logit is minus the sum over the polytopes of (max_j |x_j| -+ x_i)^2. Vertex 2i is +e_i, 2i + 1 is
       * -e_i; the last polytope's vertex changes fastest. */
      readonly type: 'cross-polytope'
      /** Dimensions of each, from 1. */
      readonly dimensions: readonly number[]
    }

export interface Network {
  /** [d, 1, 1] for vectors that are no images. */
  readonly inputShape: InputShape
  readonly layers: readonly Layer[]
  /** Of two levels: the layers of the second. What leaves `layers` are then groups of bins, and each group has a network
   * of these layers, fed as the first one is, that ranks the group's bins. */
  readonly children?: readonly Layer[] | undefined
}

/** A tensor of the network, named as in the state_dict of PyTorch's nn.Sequential. */
export interface NetworkTensor {
  name: string
  shape: number[]
  /** Parameters are trained, buffers are batch norm's running statistics. */
  kind: 'parameter' | 'buffer'
}

// ------------------------------------------------------------------------------------------------------- what fits

/** Numbers in a shape. */
export const sizeOf = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1)

export const isFlat = ([, height, width]: InputShape) => height === 1 && width === 1

/** What a row may take between two layers, 64 MB: a few bytes of a file must not claim all memory. */
const widestRow = 2 ** 24

/** The shape of the rows that leave `layer` when `shape` enters it. Throws ArgumentError naming `name`. */
export function shapeAfter(layer: Layer, shape: InputShape, name: string): InputShape {
  const after = nextShape(layer, shape, name)
  if (sizeOf(after) > widestRow) {
    throw new ArgumentError(name, `makes rows of ${sizeOf(after)} numbers; there may be at most 2^24`)
  }
  return after
}

function nextShape(layer: Layer, shape: InputShape, name: string): InputShape {
  switch (layer.type) {
    case 'linear':
      checkFlat(layer, shape, name)
      return [layer.outputs, 1, 1]
    case 'conv2d':
      return [layer.channels, ...windows(layer, shape, name)]
    case 'max-pool2d':
    case 'average-pool2d':
      if (2 * layer.padding > layer.kernel) {
        const right = `at most half the kernel's side, ${Math.floor(layer.kernel / 2)}`
        throw new ArgumentError(`${name}.padding`, `must be ${right}, but is ${layer.padding}`)
      }
      return [shape[0], ...windows(layer, shape, name)]
    case 'flatten':
      return [sizeOf(shape), 1, 1]
    case 'softmax':
      checkFlat(layer, shape, name)
      return shape
    case 'tree-leaves':
      checkEntering(layer, shape, layer.leaves - 1, name)
      return [layer.leaves, 1, 1]
    case 'sign-codes':
      checkEntering(layer, shape, layer.bits, name)
      return [2 ** layer.bits, 1, 1]
    case 'cross-polytope':
      checkEntering(layer, shape, sum(layer.dimensions), name)
      return [layer.dimensions.reduce((vertices, dimensions) => vertices * 2 * dimensions, 1), 1, 1]
    default:
      return shape
  }
}

function checkFlat({ type }: Layer, shape: InputShape, name: string): void {
  if (isFlat(shape)) return
  throw new ArgumentError(name, `${type} takes flat rows, but ${shape.join(' x ')} enters it: put a flatten before it`)
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

function checkEntering(layer: Layer, shape: InputShape, count: number, name: string): void {
  checkFlat(layer, shape, name)
  if (shape[0] === count) return
  throw new ArgumentError(name, `${layer.type} of this size takes ${count} numbers, but ${shape[0]} enter it`)
}

/** How often a window fits into an image, downwards and to the right. */
function windows(
  { kernel, stride, padding }: { kernel: number; stride: number; padding: number },
  [, height, width]: InputShape,
  name: string
): [number, number] {
  const room = Math.min(height, width) + 2 * padding
  if (kernel > room) {
    const image = `${height} x ${width}${padding > 0 ? ` with a padding of ${padding}` : ''}`
    throw new ArgumentError(`${name}.kernel`, `must fit into ${image}: at most ${room}, but is ${kernel}`)
  }
  const fits = (side: number) => Math.floor((side + 2 * padding - kernel) / stride) + 1
  return [fits(height), fits(width)]
}

// ------------------------------------------------------------------------------------------------------ how large

/** The shape of the rows after each layer. Throws ArgumentError naming `<name>.layers[i]` where one does not fit. */
export function shapesOf({ inputShape, layers }: Network, name = 'network'): InputShape[] {
  const shapes: InputShape[] = []
  for (const [i, layer] of layers.entries()) {
    shapes.push(shapeAfter(layer, shapes.at(-1) ?? inputShape, `${name}.layers[${i}]`))
  }
  return shapes
}

/** How many bins it ranks. */
export function outputsOf(network: Network): number {
  const [outputs = 0] = shapesOf(network).at(-1) ?? network.inputShape
  const child = childOf(network)
  return child ? outputs * outputsOf(child) : outputs
}

/** The network of each group of bins, where there are two levels. */
export const childOf = ({ inputShape, children }: Network): Network | undefined =>
  children && { inputShape, layers: children }

/** All parameters, then all buffers, each network by network and layer by layer: the order in which they lie in a
 * Classifier's flat arrays. */
export function tensorsOf(network: Network): NetworkTensor[] {
  const tensors = tensorsOfLayers(network)
  const child = childOf(network)
  if (child) {
    const [groups = 0] = shapesOf(network).at(-1) ?? []
    const each = tensorsOfLayers(child)
    for (let group = 0; group < groups; group++)
      for (const tensor of each) tensors.push({ ...tensor, name: `children.${group}.${tensor.name}` })
  }
  return [...tensors.filter(({ kind }) => kind === 'parameter'), ...tensors.filter(({ kind }) => kind === 'buffer')]
}

function tensorsOfLayers(network: Network): NetworkTensor[] {
  const shapes = [network.inputShape, ...shapesOf(network)]
  return network.layers.flatMap((layer, i) =>
    tensorsOfLayer(layer, shapes[i] as InputShape).map((tensor) => ({ ...tensor, name: `${i}.${tensor.name}` }))
  )
}

function tensorsOfLayer(layer: Layer, [channels]: InputShape): NetworkTensor[] {
  const parameter = (name: string, ...shape: number[]): NetworkTensor => ({ name, shape, kind: 'parameter' })
  const buffer = (name: string): NetworkTensor => ({ name, shape: [channels], kind: 'buffer' })
  const bias = (has: boolean, outputs: number) => (has ? [parameter('bias', outputs)] : [])
  switch (layer.type) {
    case 'linear':
      return [parameter('weight', layer.outputs, channels), ...bias(layer.bias, layer.outputs)]
    case 'conv2d': {
      const weight = parameter('weight', layer.channels, channels, layer.kernel, layer.kernel)
      return [weight, ...bias(layer.bias, layer.channels)]
    }
    case 'batch-norm':
      return [parameter('weight', channels), parameter('bias', channels), buffer('running_mean'), buffer('running_var')]
    default:
      return []
  }
}

function count(network: Network, kind: NetworkTensor['kind']): number {
  const own = tensorsOfLayers(network).reduce(
    (sum, tensor) => sum + (tensor.kind === kind ? sizeOf(tensor.shape) : 0),
    0
  )
  const child = childOf(network)
  return child ? own + (shapesOf(network).at(-1)?.[0] ?? 0) * count(child, kind) : own
}

export const parameterCount = (network: Network) => count(network, 'parameter')

export const bufferCount = (network: Network) => count(network, 'buffer')

/** Of one row's way through the linear and the convolution layers, of two levels through those of the first. */
export function multiplyAdds(network: Network): number {
  const shapes = [network.inputShape, ...shapesOf(network)]
  return network.layers.reduce((sum, layer, i) => {
    const [[channels], after] = [shapes[i], shapes[i + 1]] as [InputShape, InputShape]
    if (layer.type !== 'linear' && layer.type !== 'conv2d') return sum
    return sum + sizeOf(after) * channels * (layer.type === 'conv2d' ? layer.kernel ** 2 : 1)
  }, 0)
}

/** Throws ArgumentError naming `name` when there are more weights than 31 bits can count. */
export function checkSize(network: Network, name: string): void {
  const parameters = parameterCount(network)
  if (parameters <= largestId) return
  throw new ArgumentError(name, `makes a network of ${parameters} weights; there must be fewer than 2^31`)
}

// ------------------------------------------------------------------------------------------------------- from a file

class InputShapeEntry extends Entry<InputShape> {
  read(value: unknown, name: string): InputShape {
    const sides = new List(width, 3).read(value, name)
    if (sides.length !== 3) {
      throw new ArgumentError(name, `must be [channels, height, width], but has ${sides.length} of these three`)
    }
    return sides as unknown as InputShape
  }
}

export const inputShape: Entry<InputShape> = new InputShapeEntry()

/** Of all networks of the second level: the header of an index file has no room for more. */
const mostChildLayers = 8192

/** More than can be described: a user's 256 layers, what is inserted between them, and the output layer. */
const layers = new List(anyLayer, 512)
const table = { inputShape, layers, children: new Optional(layers) }

/** Judges a network that was read from somewhere: what comes back is whole and fits together. Throws ArgumentError. */
export function readNetwork(value: unknown, name = 'network'): Network {
  const { children, ...firstLevel } = read(table, value ?? null, `${name}.`)
  checkLayers(firstLevel, name)
  const network: Network = children === undefined ? firstLevel : { ...firstLevel, children }
  const child = childOf(network)
  if (child) {
    checkLayers(child, `${name}.children`)
    if ([network, child].some(({ layers }) => isRule(layers.at(-1)?.type)))
      throw new ArgumentError(`${name}.children`, 'cannot stand beside the rule of a partition')
    checkChildren(network, `${name}.children`)
  }
  checkSize(network, `${name}.layers`)
  return network
}

/** Throws ArgumentError naming `name` where the second level has more than an index can hold. */
export function checkChildren(network: Network, name: string): void {
  const [groups = 0] = shapesOf(network).at(-1) ?? []
  const layers = groups * (network.children?.length ?? 0)
  if (layers > mostChildLayers)
    throw new ArgumentError(
      name,
      `makes ${layers} layers in ${groups} networks; there may be at most ${mostChildLayers}`
    )
  if (outputsOf(network) > largestId)
    throw new ArgumentError(name, `makes ${outputsOf(network)} bins; there must be fewer than 2^31`)
}

function checkLayers(network: Network, name: string): void {
  shapesOf(network, name)
  const last = network.layers.at(-1)?.type
  if (last !== 'linear' && !isRule(last)) {
    throw new ArgumentError(`${name}.layers`, 'must end in a layer that has an output for each bin, such as linear')
  }
  const early = network.layers.findIndex(({ type }, i) => isRule(type) && i < network.layers.length - 1)
  if (early >= 0) throw new ArgumentError(`${name}.layers[${early}]`, 'can only be the last layer')
}
