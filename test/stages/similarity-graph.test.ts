import { isDeepStrictEqual } from 'node:util'
import test from 'ava'
import { buildKnnGraph, buildSimilarityGraph, type KnnGraph } from '../../lib/index.js'
import { clustered } from '../support/vectors.js'

/** The edges by their definition, as 'i-j' -> weight, both directions. */
function edgesOf({ neighbors, ids }: KnnGraph): Map<string, number> {
  const edges = new Map<string, number>()
  ids.forEach((to, at) => {
    const from = Math.floor(at / neighbors)
    for (const edge of [`${from}-${to}`, `${to}-${from}`]) edges.set(edge, (edges.get(edge) ?? 0) + 1)
  })
  return edges
}

for (const neighbors of [1, 4, 10]) {
  test(`of ${neighbors} neighbors: symmetric, no loops, weight 2 where mutual and else 1`, async (t) => {
    const knn = await buildKnnGraph(clustered(800, 8), { dimensions: 8, neighbors })
    const { xadj, adjncy, adjcwgt } = await buildSimilarityGraph(knn)
    const expected = edgesOf(knn)
    t.is(xadj.length, 801)
    t.is(adjncy.length, expected.size)
    t.is(adjcwgt.length, expected.size)
    const found = new Map<string, number>()
    for (let from = 0; from < 800; from++) {
      for (let at = xadj[from] as number; at < (xadj[from + 1] as number); at++) {
        found.set(`${from}-${adjncy[at]}`, adjcwgt[at] as number)
      }
    }
    t.is(found.size, adjncy.length, 'no edge stands twice')
    t.true(isDeepStrictEqual(found, expected))
    t.false(Array.from(adjcwgt).some((weight) => weight !== 1 && weight !== 2))
  })
}

test('by hand', async (t) => {
  const knn = { neighbors: 1, ids: Int32Array.of(1, 0, 1, 2), distances: new Float32Array(4) }
  t.deepEqual(await buildSimilarityGraph(knn), {
    xadj: Int32Array.of(0, 1, 3, 5, 6),
    adjncy: Int32Array.of(1, 0, 2, 1, 3, 2),
    adjcwgt: Int32Array.of(2, 2, 1, 1, 1, 1)
  })
})
