/** The networks by which partitions by projections rank their bins: one linear layer and a rule. */
import type { Layer, Network, PartitionRule } from '../classifier/network.js'
import type { ProjectionMethod } from '../engines/engine.js'
import { ArgumentError } from '../errors.js'

export const projectionMethods = [
  'itq',
  'cross-polytope',
  'pca-tree',
  'rp-tree',
  'kd-tree'
] as const satisfies ProjectionMethod[]

export const isProjection = (method: string): method is ProjectionMethod =>
  projectionMethods.some((one) => one === method)

/** Partitions that rank a query's bins by themselves. */
export type RuleMethod = ProjectionMethod | 'regression-lsh'
export const ruleMethods: readonly RuleMethod[] = [...projectionMethods, 'regression-lsh']

export const hasRule = (method: string): method is RuleMethod => ruleMethods.some((one) => one === method)

/** How many projections there are, and what is made of them. Throws ArgumentError naming `bins` where the method cannot
 * make so many. */
export function ruleOf(
  method: RuleMethod,
  bins: number,
  dimensions: number
): { projections: number; rule: PartitionRule } {
  switch (method) {
    case 'itq': {
      const bits = Math.log2(bins)
      const most = Math.min(24, dimensions)
      if (!Number.isInteger(bits) || bits > most)
        throw new ArgumentError('bins', `of 'itq' must be a power of two, at most 2^${most}, but is ${bins}`)
      return { projections: bits, rule: { type: 'sign-codes', bits } }
    }
    case 'cross-polytope': {
      const polytopes = polytopesOf(bins, dimensions)
      return {
        projections: polytopes.reduce((sum, one) => sum + one, 0),
        rule: { type: 'cross-polytope', dimensions: polytopes }
      }
    }
    case 'regression-lsh':
      if (!Number.isInteger(Math.log2(bins)))
        throw new ArgumentError('bins', `of 'regression-lsh' must be a power of two, but is ${bins}`)
      return { projections: bins - 1, rule: { type: 'tree-leaves', leaves: bins, rule: 'log-sigmoid' } }
    default:
      return { projections: bins - 1, rule: { type: 'tree-leaves', leaves: bins, rule: 'squared-margin' } }
  }
}

/** As few polytopes as will do, of rotated vectors that were padded to a power of two: one has up to twice that many
 * vertices. */
function polytopesOf(bins: number, dimensions: number): number[] {
  const padded = 2 ** Math.ceil(Math.log2(dimensions))
  const most = 2 * padded
  const first = bins <= most ? bins : largestEvenDivisor(bins, most)
  const rest = bins / first
  if (bins % 2 !== 0 || (rest !== 1 && (rest % 2 !== 0 || rest > most)))
    throw new ArgumentError(
      'bins',
      `of 'cross-polytope' must be even, and beyond ${most} a product of two even numbers up to ${most}, but is ${bins}`
    )
  return rest === 1 ? [first / 2] : [first / 2, rest / 2]
}

const largestEvenDivisor = (of: number, most: number) => {
  for (let divisor = most; divisor > 1; divisor -= 2) if (of % divisor === 0) return divisor
  return 1
}

export function networkOf(method: RuleMethod, bins: number, dimensions: number): Network {
  const { projections, rule } = ruleOf(method, bins, dimensions)
  const linear: Layer = { type: 'linear', outputs: projections, bias: true }
  return { inputShape: [dimensions, 1, 1], layers: [linear, rule] }
}
