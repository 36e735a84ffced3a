import test from 'ava'
import { NeuralLSH, readVectors } from '../../lib/index.js'
import { wordsFile } from '../cli/run.js'
import { metrics, ranking } from '../support/vectors.js'

const rows = 1200
const asked = 30
const k = 10

for (const metric of metrics) {
  test(`on real words the figures are those of brute force: ${metric}`, async (t) => {
    const { vectors, dimensions } = await readVectors(wordsFile, { limit: rows + asked })
    const base = vectors.slice(0, rows * dimensions)
    const queries = vectors.slice(rows * dimensions)
    const index = await NeuralLSH.build(base, { dimensions, bins: 8, metric, classifier: { hidden: [32], epochs: 3 } })
    t.teardown(() => index.close())
    const { curve, routerDistances } = await index.evaluate(queries, { k, probes: [1, 3, 8], mass: [0.6] })
    t.is(routerDistances, (dimensions * 32 + 32 * 8) / dimensions)
    const truth = Array.from({ length: asked }, (_, query) =>
      ranking(base, queries, query, dimensions, metric)
        .slice(0, k)
        .map(({ id }) => id)
    )
    for (const { probes, mass, accuracy, recall, candidatesMean } of curve) {
      const found = await index.searchBatch(queries, { k, ...(probes ? { probes } : { mass: mass as number }) })
      const hits = truth.flatMap((ids, query) => {
        const returned = found.ids.subarray(query * k, (query + 1) * k)
        return ids.filter((id) => returned.includes(id))
      })
      t.is(recall, hits.length / (asked * k))
      // Distances among the candidates are exact: a true neighbor that was seen is returned.
      t.is(accuracy, recall)
      t.is(candidatesMean, found.candidates.reduce((sum, one) => sum + one, 0) / asked)
    }
    t.is(curve[2]?.accuracy, 1)
    t.true((curve[0]?.accuracy as number) < 1)
  })
}
