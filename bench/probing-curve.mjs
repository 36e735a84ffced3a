/**
 * Accuracy over candidates for any number of candidates, where the number of bins read allows only some: from the whole
 * ranking of the bins for each query.
 */

/**
 * Every bin of every query as a step of the search: its place in the query's ranking, from 0; the probability mass of
 * the bins before it; its points; and how many of the query's true neighbors are among them.
 *
 * `routes`: bins and their probabilities, queries x bins, most probable first. `truthBins`: the bins of the true
 * neighbors, queries x k.
 */
export function searchSteps({ bins, probabilities }, binSizes, truthBins) {
  const count = binSizes.length
  const queries = bins.length / count
  const k = truthBins.length / queries
  const steps = []
  for (let query = 0; query < queries; query++) {
    const neighbors = new Int32Array(count)
    for (const bin of truthBins.subarray(query * k, (query + 1) * k)) neighbors[bin]++
    let mass = 0
    for (let rank = 0; rank < count; rank++) {
      const bin = bins[query * count + rank]
      steps.push({ rank, mass, candidates: binSizes[bin] / queries, accuracy: neighbors[bin] / truthBins.length })
      mass += probabilities[query * count + rank]
    }
  }
  return steps
}

/**
 * Mean candidates and Acc@k, [0, 0] first, as a limit on `key` rises: 'rank' is a fixed number of bins, 'mass' as many
 * as it takes to reach a probability mass.
 */
export function probingCurve(steps, key) {
  const sorted = steps.toSorted((a, b) => a[key] - b[key])
  const curve = [[0, 0]]
  let [candidates, accuracy] = [0, 0]
  for (const [i, step] of sorted.entries()) {
    candidates += step.candidates
    accuracy += step.accuracy
    if (sorted[i + 1]?.[key] !== step[key]) curve.push([candidates, accuracy])
  }
  return curve
}

/** Acc@k at a number of mean candidates above 0, linear between the curve's points. */
export function accuracyAt(curve, goal) {
  const next = curve.findIndex(([candidates]) => candidates >= goal)
  if (next < 0) throw new RangeError(`the curve ends at ${curve.at(-1)[0]} candidates: ${goal} are too many`)
  const [[fromCandidates, from], [toCandidates, to]] = [curve[next - 1], curve[next]]
  return from + ((to - from) * (goal - fromCandidates)) / (toCandidates - fromCandidates)
}
