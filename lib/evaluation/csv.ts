import type { Comparison } from './comparison.js'

const titles = [
  'method',
  'bins',
  'probing',
  'asked',
  'accuracy',
  'candidates_mean',
  'candidates_q95',
  'router_distances'
]

/** The curves, one row a point, in full precision: `asked` is a number of bins where `probing` is probes, else a recall. */
export function* comparisonCsv({ results }: Pick<Comparison, 'results'>): Generator<string> {
  yield `${titles.join()}\n`
  for (const { method, bins, curves, routerDistances } of results) {
    for (const { probing, points } of curves) {
      for (const { asked, accuracy, candidatesMean, candidatesQ95 } of points)
        yield `${[method, bins, probing, asked, accuracy, candidatesMean, candidatesQ95, routerDistances].join()}\n`
    }
  }
}
