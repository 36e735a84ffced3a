/** What it takes to reach an accuracy. */
import type { ComparisonCurve, ComparisonPoint, MethodResult, NeededCandidates } from './comparison.js'

export const wantedAccuracies = [0.8, 0.85, 0.9, 0.95] as const

type Candidates = 'candidatesMean' | 'candidatesQ95'

/** Candidates at an accuracy, in proportion between the points around it; where the first point does better, its own. */
export function candidatesAt(points: readonly ComparisonPoint[], accuracy: number, which: Candidates): number {
  const above = points.findIndex((point) => point.accuracy >= accuracy)
  const [from, to] = [points[above - 1], points[above]]
  if (to === undefined) throw new RangeError(`no point of the curve reaches an accuracy of ${accuracy}`)
  if (from === undefined) return to[which]
  return from[which] + ((accuracy - from.accuracy) / (to.accuracy - from.accuracy)) * (to[which] - from[which])
}

const neededFor = ({ probing, points }: ComparisonCurve, accuracy: number): NeededCandidates => ({
  accuracy,
  probing,
  candidatesMean: candidatesAt(points, accuracy, 'candidatesMean'),
  candidatesQ95: candidatesAt(points, accuracy, 'candidatesQ95')
})

/** For each wanted accuracy and each curve of a method, beside k-means with as many bins where that is among `all`. */
export function neededCandidates(
  { bins, curves }: Pick<MethodResult, 'bins' | 'curves'>,
  all: readonly Pick<MethodResult, 'method' | 'bins' | 'curves'>[]
): NeededCandidates[] {
  const kmeans = all
    .find((one) => one.method === 'kmeans' && one.bins === bins)
    ?.curves.find(({ probing }) => probing === 'probes')
  return wantedAccuracies.flatMap((accuracy) =>
    curves.map((curve) => {
      const needed = neededFor(curve, accuracy)
      if (kmeans === undefined) return needed
      const reference = neededFor(kmeans, accuracy)
      return {
        ...needed,
        meanToKmeans: needed.candidatesMean / reference.candidatesMean,
        q95ToKmeans: needed.candidatesQ95 / reference.candidatesQ95
      }
    })
  )
}
