/** What it takes to reach an accuracy. */
import type { ComparisonPoint, MethodResult, NeededCandidates } from './comparison.js'

export const wantedAccuracies = [0.8, 0.85, 0.9, 0.95] as const

/** Candidates at an accuracy, in proportion between the points around it; where the first point does better, its own.
 * Undefined where no point does as well. */
export function candidatesAt(
  points: readonly ComparisonPoint[],
  accuracy: number
): Pick<ComparisonPoint, 'candidatesMean' | 'candidatesQ95'> | undefined {
  const above = points.findIndex((point) => point.accuracy >= accuracy)
  const [from, to] = [points[above - 1], points[above]]
  if (to === undefined) return undefined
  const { candidatesMean, candidatesQ95 } = to
  if (from === undefined) return { candidatesMean, candidatesQ95 }
  const share = (accuracy - from.accuracy) / (to.accuracy - from.accuracy)
  return {
    candidatesMean: from.candidatesMean + share * (candidatesMean - from.candidatesMean),
    candidatesQ95: from.candidatesQ95 + share * (candidatesQ95 - from.candidatesQ95)
  }
}

/** For each wanted accuracy and each curve that reaches it, beside k-means with as many bins where that is among `all`. */
export function neededCandidates(
  { bins, curves }: Pick<MethodResult, 'bins' | 'curves'>,
  all: readonly Pick<MethodResult, 'method' | 'bins' | 'curves'>[]
): NeededCandidates[] {
  const kmeans = all
    .find((one) => one.method === 'kmeans' && one.bins === bins)
    ?.curves.find(({ probing }) => probing === 'probes')
  return wantedAccuracies.flatMap((accuracy) => {
    const reference = kmeans && candidatesAt(kmeans.points, accuracy)
    return curves.flatMap(({ probing, points }) => {
      const needed = candidatesAt(points, accuracy)
      return needed ? [{ accuracy, probing, ...needed, ...(reference && ratios(needed, reference)) }] : []
    })
  })
}

type Candidates = NonNullable<ReturnType<typeof candidatesAt>>

const ratios = (needed: Candidates, reference: Candidates) => ({
  meanToKmeans: needed.candidatesMean / reference.candidatesMean,
  q95ToKmeans: needed.candidatesQ95 / reference.candidatesQ95
})
