// Trees of hyperplanes, node by node.
import test from 'ava'
import type { ProjectionPartition } from '../../lib/engines/engine.js'
import { clustered, integers } from '../support/vectors.js'
import { partitioners, projectionsOf, readWords, reference, sizesOf } from './partition.js'
import { plainLogits } from './plain-rules.js'

const methods = ['pca-tree', 'rp-tree', 'kd-tree'] as const
const dimensions = 12
const rows = 1500
const vectors = clustered(rows, dimensions, 40, 1, 1)

const expectedSizes = (rows: number, leaves: number) =>
  Array.from({ length: leaves }, (_, leaf) => {
    return Math.floor(((leaf + 1) * rows) / leaves) - Math.floor((leaf * rows) / leaves)
  })

/** The nodes in preorder: the leaves to their left and to their right. */
function nodesOf(first: number, leaves: number): { first: number; middle: number; end: number }[] {
  if (leaves === 1) return []
  const left = Math.ceil(leaves / 2)
  const middle = first + left
  return [{ first, middle, end: first + leaves }, ...nodesOf(first, left), ...nodesOf(middle, leaves - left)]
}

function varianceOf(numbers: number[]): number {
  const mean = numbers.reduce((a, b) => a + b) / numbers.length
  return numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length
}

const directionOf = ({ weights }: ProjectionPartition, node: number) =>
  Array.from(weights.subarray(node * dimensions, (node + 1) * dimensions))

const valueAlong = (direction: number[], row: number) =>
  direction.reduce((sum, x, c) => sum + x * (vectors[row * dimensions + c] as number), 0)

for (const { engine, partition } of partitioners) {
  for (const method of methods) {
    for (const bins of [2, 3, 7, 64, 100, rows]) {
      test(`${engine}: ${method} of ${bins} leaves: of equal size, each row in its own, each cut halfway`, async (t) => {
        const made = await partition(vectors, dimensions, { method, bins })
        t.deepEqual(sizesOf(made.labels, bins), expectedSizes(rows, bins))
        t.true(Math.abs(made.balance - (Math.ceil(rows / bins) * bins) / rows) < 1e-12)
        t.is(made.losses.length, 0)
        const margins = Array.from({ length: rows }, (_, row) => projectionsOf(made, vectors, dimensions, row))
        const rule = { type: 'tree-leaves', leaves: bins, rule: 'squared-margin' } as const
        const wrong = margins.findIndex((numbers, row) => {
          const logits = plainLogits(rule, numbers)
          return logits[made.labels[row] as number] !== 0 || logits.filter((x) => x === 0).length !== 1
        })
        t.is(wrong, -1)
        for (const [node, { first, middle, end }] of nodesOf(0, bins).entries()) {
          const length = Math.hypot(...directionOf(made, node))
          t.true(Math.abs(length - 1) < 1e-5)
          let [below, above] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
          for (const [row, label] of made.labels.entries()) {
            const margin = margins[row]?.[node] as number
            if (label >= first && label < middle) below = Math.max(below, margin)
            if (label >= middle && label < end) above = Math.min(above, margin)
          }
          t.true(below < 0 && above > 0 && Math.abs(below + above) < 1e-5, `node ${node}: ${below} ${above}`)
        }
      })
    }
  }

  test(`${engine}: kd-tree: each node cuts the axis of most variance`, async (t) => {
    const bins = 20
    const made = await partition(vectors, dimensions, { method: 'kd-tree', bins })
    for (const [node, { first, end }] of nodesOf(0, bins).entries()) {
      const own = [...made.labels.keys()].filter((row) => {
        const label = made.labels[row] as number
        return label >= first && label < end
      })
      const axes = Array.from({ length: dimensions }, (_, c) =>
        varianceOf(own.map((row) => vectors[row * dimensions + c] as number))
      )
      const widest = axes.indexOf(Math.max(...axes))
      t.deepEqual(
        directionOf(made, node),
        axes.map((_, c) => (c === widest ? 1 : 0))
      )
    }
  })

  test(`${engine}: pca-tree: no direction that is tried has more variance than that of a node`, async (t) => {
    const bins = 10
    const [made, random] = (await Promise.all(
      (['pca-tree', 'rp-tree'] as const).map((method) => partition(vectors, dimensions, { method, bins: 10 }))
    )) as [ProjectionPartition, ProjectionPartition]
    for (const [node, { first, end }] of nodesOf(0, bins).entries()) {
      const own = [...made.labels.keys()].filter((row) => {
        const label = made.labels[row] as number
        return label >= first && label < end
      })
      const along = (direction: number[]) => varianceOf(own.map((row) => valueAlong(direction, row)))
      const most = along(directionOf(made, node))
      for (let other = 0; other < bins - 1; other++) t.true(along(directionOf(random, other)) < most)
      // Nor has one that is turned a little.
      for (let c = 0; c < dimensions; c++) {
        for (const step of [0.03, -0.03]) {
          const turned = directionOf(made, node).map((x, i) => (i === c ? x + step : x))
          const length = Math.hypot(...turned)
          t.true(along(turned.map((x) => x / length)) < most * (1 + 1e-6))
        }
      }
    }
  })

  test(`${engine}: pca-tree: the first direction of words' vectors is NumPy's`, async (t) => {
    const words = await readWords()
    const { weights } = await partition(words.vectors, words.dimensions, { method: 'pca-tree', bins: 2 })
    const cosine = reference.principal.first.reduce((sum, x, c) => sum + x * (weights[c] as number), 0)
    t.log(`1 - |cosine| = ${(1 - Math.abs(cosine)).toExponential(1)}`)
    t.true(Math.abs(cosine) > 1 - 1e-6)
  })

  test(`${engine}: equal vectors are shared out by their row numbers`, async (t) => {
    for (const method of methods) {
      const same = new Float32Array(100 * 3).fill(2)
      const { labels, weights } = await partition(same, 3, { method, bins: 7 })
      t.deepEqual(sizesOf(labels, 7), expectedSizes(100, 7))
      t.deepEqual(labels, labels.toSorted())
      t.true(weights.every(Number.isFinite))
      const ties = integers(500, 4)
      t.deepEqual(sizesOf((await partition(ties, 4, { method, bins: 33 })).labels, 33), expectedSizes(500, 33))
    }
  })
}
