import test from 'ava'
import { exactSearch } from '../../lib/index.js'
import { clustered, findFault, integers, metrics, ranking } from '../support/vectors.js'

for (const metric of metrics) {
  test(`${metric}: the k nearest of each query, as in double precision`, async (t) => {
    const dimensions = 19
    const vectors = clustered(500, dimensions)
    const queries = clustered(60, dimensions, 16, 2)
    const { ids, distances } = await exactSearch(vectors, queries, { dimensions, metric, k: 25 })
    for (let query = 0; query < 60; query++) {
      const range = [query * 25, (query + 1) * 25] as const
      const ranked = ranking(vectors, queries, query, dimensions, metric)
      t.is(findFault(ids.subarray(...range), distances.subarray(...range), ranked, 1e-4), undefined, `query ${query}`)
    }
  })
}

test('equal distances come by row number, and k may be all', async (t) => {
  const vectors = integers(90, 3)
  const queries = integers(10, 3, 2)
  const { ids } = await exactSearch(vectors, queries, { dimensions: 3, k: 90 })
  for (let query = 0; query < 10; query++) {
    const right = ranking(vectors, queries, query, 3, 'euclidean').map(({ id }) => id)
    t.deepEqual(Array.from(ids.subarray(query * 90, (query + 1) * 90)), right)
  }
})
