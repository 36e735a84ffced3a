/** From the times of calls to the figures of the tables and charts. */

export const targets = [0.9, 0.95, 0.99]

export function median(values) {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The smallest value that at least `share` of all are not above. */
const quantile = (sorted, share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]

/** Of the time of `count` calls each in several passes: queries a second. */
export const rateOf = (nanoseconds) => (1e9 * nanoseconds.length) / nanoseconds.reduce((sum, time) => sum + time, 0)

/**
 * `rounds`: arrays of passes x count nanoseconds each. The rate is the median of all passes'. p50, p95 and p99 are over
 * the queries, each with the median of its passes: how much longer a hard query takes, without what the machine did
 * meanwhile; callP99 is over all calls as they were. All in microseconds.
 */
export function summarize(rounds, count) {
  const passes = rounds.flatMap((times) =>
    Array.from({ length: times.length / count }, (_, pass) => times.slice(pass * count, (pass + 1) * count))
  )
  const typical = Float64Array.from({ length: count }, (_, query) => median(passes.map((pass) => pass[query]))).sort()
  const calls = Float64Array.from(rounds.flat()).sort()
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(typical, share) / 1000)
  return { qps: median(passes.map(rateOf)), p50, p95, p99, callP99: quantile(calls, 0.99) / 1000 }
}

/** The points that no other one beats in recall and in rate, by rising recall. */
export function frontier(points) {
  const best = []
  for (const point of points.toSorted((a, b) => b.recall - a.recall || b.qps - a.qps))
    if (best.length === 0 || point.qps > best[0].qps) best.unshift(point)
  return best
}

/**
 * Queries a second at a recall: on the frontier, straight between its points in recall and the logarithm of the rate.
 * Below its first point the rate of that; undefined above its last one.
 */
export function rateAt(points, recall) {
  const best = frontier(points)
  const next = best.findIndex((point) => point.recall >= recall)
  if (next <= 0) return best[next]?.qps
  const [from, to] = [best[next - 1], best[next]]
  const share = (recall - from.recall) / (to.recall - from.recall)
  return from.qps * (to.qps / from.qps) ** share
}

export const nearestTo = (points, recall) =>
  frontier(points).toSorted((a, b) => Math.abs(a.recall - recall) - Math.abs(b.recall - recall))[0]

/** From here on there is nothing left to show. */
export const fullRecall = 0.999
const [leastRecall, closeToBest] = [0.75, 0.7]

/** Of the points that were tried, those worth measuring well: near the frontier and neither far below nor at the end. */
export function worthMeasuring(points) {
  const full = points.filter(({ recall }) => recall >= fullRecall)
  const fastest = full.reduce((best, point) => (point.qps > (best?.qps ?? 0) ? point : best), undefined)
  const useful = points.filter(
    (point) =>
      point.recall >= leastRecall &&
      point.recall < fullRecall &&
      point.qps >= closeToBest * rateAt(points, point.recall)
  )
  return fastest ? [...useful, fastest] : useful
}
