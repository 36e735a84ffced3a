/**
 * Accuracy over candidates for any number of candidates, where the number of bins read allows only some: from the whole
 * ranking of the bins for each query.
 */

const nothing = []

/**
 * Every bin of every query as a step of the search, query by query in the order of the ranking: its rank, from 0; the
 * probability mass of the bins before it; minus its probability; its points; and which of the queries' true neighbors, and
 * what share of them all, are found in it first.
 *
 * `routes`: bins and their probabilities, queries x bins, most probable first. `truthBins`: the bins of the true
 * neighbors, queries x k; several such arrays where a point may lie in several bins.
 */
export function searchSteps({ bins, probabilities }, binSizes, ...truthBins) {
  const count = binSizes.length
  const queries = bins.length / count
  const truths = truthBins[0].length
  const k = truths / queries
  const steps = []
  const rankOf = new Int32Array(count)
  for (let query = 0; query < queries; query++) {
    const ranked = bins.subarray(query * count, (query + 1) * count)
    for (const [rank, bin] of ranked.entries()) rankOf[bin] = rank
    const found = new Array(count).fill(nothing)
    for (let place = query * k; place < (query + 1) * k; place++) {
      const rank = Math.min(...truthBins.map((places) => rankOf[places[place]]))
      found[rank] = [...found[rank], place]
    }
    let mass = 0
    for (const [rank, bin] of ranked.entries()) {
      const probability = probabilities[query * count + rank]
      const [neighbors, accuracy] = [found[rank], found[rank].length / truths]
      steps.push({ rank, mass, improbability: -probability, candidates: binSizes[bin] / queries, neighbors, accuracy })
      mass += probability
    }
  }
  return steps
}

/** The steps of several partitions of the same points as one list, for a limit on `key`: a neighbor counts where it is
 * found first, and a point is read as often as a bin of its own is. */
export function ensembleSteps(partitions, key) {
  const found = new Set()
  const sorted = partitions.flat().toSorted((a, b) => a[key] - b[key])
  return sorted.map((step) => {
    const fresh = step.neighbors.filter((one) => !found.has(one))
    for (const one of fresh) found.add(one)
    return { ...step, accuracy: fresh.length && (step.accuracy * fresh.length) / step.neighbors.length }
  })
}

/**
 * Mean candidates and Acc@k, [0, 0] first, as a limit on `key` rises: 'rank' is a fixed number of bins, 'mass' as many
 * as it takes to reach a probability mass, 'improbability' those above a probability that all queries share.
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

/** Mean candidates that Acc@k = `goal` takes, linear between the curve's points. */
export function candidatesAt(curve, goal) {
  const next = curve.findIndex(([, accuracy]) => accuracy >= goal - 1e-12)
  const [[fromCandidates, from], [toCandidates, to]] = [curve[next - 1], curve[next]]
  return fromCandidates + ((toCandidates - fromCandidates) * (goal - from)) / (to - from)
}

/** The same of a quantile of the queries' candidates where all read the same number of `bins`. */
export function quantileAt(steps, bins, goal, share) {
  const queries = steps.length / bins
  const read = new Float64Array(queries)
  const curve = [[0, 0]]
  let accuracy = 0
  for (let rank = 0; rank < bins && accuracy < goal; rank++) {
    for (let query = 0; query < queries; query++) {
      const step = steps[query * bins + rank]
      read[query] += step.candidates * queries
      accuracy += step.accuracy
    }
    curve.push([read.toSorted()[Math.floor(share * (queries - 1))], accuracy])
  }
  return candidatesAt(curve, goal)
}

/** Acc@k at a number of mean candidates above 0, linear between the curve's points. */
export function accuracyAt(curve, goal) {
  const next = curve.findIndex(([candidates]) => candidates >= goal)
  if (next < 0) throw new RangeError(`the curve ends at ${curve.at(-1)[0]} candidates: ${goal} are too many`)
  const [[fromCandidates, from], [toCandidates, to]] = [curve[next - 1], curve[next]]
  return from + ((to - from) * (goal - fromCandidates)) / (toCandidates - fromCandidates)
}
