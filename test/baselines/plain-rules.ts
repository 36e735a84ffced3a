/** The layers that rank the bins of partitions by projections, bin by bin as lib/classifier/network.ts defines them. */
import type { PartitionRule } from '../../lib/classifier/network.js'

export function plainLogits(rule: PartitionRule, numbers: readonly number[]): number[] {
  switch (rule.type) {
    case 'tree-leaves':
      return leavesUnder(numbers, rule.leaves, marginRules[rule.rule])
    case 'sign-codes':
      return Array.from({ length: 2 ** rule.bits }, (_, bin) =>
        numbers.reduce((sum, x, bit) => (x > 0 === (Math.floor(bin / 2 ** bit) % 2 === 1) ? sum : sum - Math.abs(x)), 0)
      )
    case 'cross-polytope':
      return rule.dimensions.reduce<{ logits: number[]; rest: readonly number[] }>(
        ({ logits, rest }, dimensions) => {
          const own = verticesOf(rest.slice(0, dimensions))
          return { logits: logits.flatMap((before) => own.map((x) => before + x)), rest: rest.slice(dimensions) }
        },
        { logits: [0], rest: numbers }
      ).logits
  }
}

/** What a node adds on its left and on its right side. */
const marginRules = {
  'squared-margin': (margin: number) => (margin > 0 ? [-(margin ** 2), 0] : [0, -(margin ** 2)]),
  'log-sigmoid': (margin: number) => [-Math.log(1 + Math.exp(margin)), -Math.log(1 + Math.exp(-margin))]
}

function leavesUnder(margins: readonly number[], leaves: number, sides: (margin: number) => number[]): number[] {
  if (leaves === 1) return [0]
  const left = Math.ceil(leaves / 2)
  const [toLeft, toRight] = sides(margins[0] as number) as [number, number]
  return [
    ...leavesUnder(margins.slice(1, left), left, sides).map((x) => x + toLeft),
    ...leavesUnder(margins.slice(left), leaves - left, sides).map((x) => x + toRight)
  ]
}

function verticesOf(numbers: readonly number[]): number[] {
  const largest = Math.max(...numbers.map(Math.abs))
  return numbers.flatMap((x) => [-((largest - x) ** 2), -((largest + x) ** 2)])
}
