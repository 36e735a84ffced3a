/** What the figures of a comparison say, in words. */
import { titles } from '../methods.js'
import type { Comparison, MethodResult, NeededCandidates, ProbingType } from './comparison.js'

type Figures = Omit<Comparison, 'verdict'>
type Candidates = 'candidatesMean' | 'candidatesQ95'

/** Where methods are judged. */
const judgedAccuracies = [0.9, 0.95]
/** Largest bin / mean bin beyond which shards and disks notice. */
const unequalBalance = 2

/** A method with a number of bins and a way of choosing them. */
interface Entry {
  result: MethodResult
  needed: NeededCandidates
}

/** A paragraph: which method suits these data, and what speaks against it. */
export function verdictOf({ rows, dimensions, queries, k, results }: Figures): string {
  const mean = judgedAccuracies.map((accuracy) => best(results, accuracy, 'candidatesMean'))
  const tail = judgedAccuracies.map((accuracy) => best(results, accuracy, 'candidatesQ95'))
  return [
    `${count(rows)} vectors of ${count(dimensions)} numbers, asked for the ${k} nearest of ${count(queries)} queries.`,
    ...mean.map((entry, i) => bestSentence(entry, i > 0 && isSame(entry, mean[i - 1] as Entry))),
    tailSentence(mean, tail),
    routerSentence(results, mean[0] as Entry),
    balanceSentence(results)
  ]
    .filter(Boolean)
    .join(' ')
}

function best(results: readonly MethodResult[], accuracy: number, which: Candidates): Entry {
  const entries = results.flatMap((result) =>
    result.needed.filter((one) => one.accuracy === accuracy).map((needed) => ({ result, needed }))
  )
  return entries.reduce((least, one) => (one.needed[which] < least.needed[which] ? one : least))
}

const isSame = (a: Entry, b: Entry) => a.result === b.result && a.needed.probing === b.needed.probing

function bestSentence({ result, needed }: Entry, isAgain: boolean): string {
  const candidates = count(needed.candidatesMean)
  const against = besideKmeans(needed.meanToKmeans, result)
  return isAgain
    ? `For ${percent(needed.accuracy)} it is the best again, with ${candidates} candidates${against}.`
    : `To have ${percent(needed.accuracy)} of the true neighbors among the candidates, ${nameOf(result, needed.probing)} needs the fewest: ${candidates} a query on average${against}.`
}

function besideKmeans(ratio: number | undefined, { method, bins }: MethodResult): string {
  if (ratio === undefined) return ''
  if (method === 'kmeans' && ratio === 1) return ''
  const share = Math.abs(1 - ratio)
  const kmeans = `k-means reading a fixed number of its ${count(bins)} bins`
  if (share < 0.005) return `, as many as ${kmeans}`
  return `, ${percent(share)} ${ratio < 1 ? 'fewer' : 'more'} than ${kmeans}`
}

function tailSentence(mean: readonly Entry[], tail: readonly Entry[]): string {
  const parts = tail.map(({ result, needed }) => {
    const who = nameOf(result, needed.probing)
    return `${who} at ${percent(needed.accuracy)} (${count(needed.candidatesQ95)} candidates)`
  })
  const same = tail.every((entry, i) => isSame(entry, mean[i] as Entry))
  const lead = same
    ? 'The same holds for the queries that read most (0.95-quantile of the candidates)'
    : 'For the queries that read most (0.95-quantile of the candidates) the best is'
  return `${lead}${same ? ':' : ''} ${parts.join(', ')}.`
}

/** Where the work of the router is counted, another may win. */
function routerSentence(results: readonly MethodResult[], winner: Entry): string {
  const { accuracy } = winner.needed
  const total = ({ result, needed }: Entry) => result.routerDistances + needed.candidatesMean
  const entries = results.flatMap((result) =>
    result.needed.filter((one) => one.accuracy === accuracy).map((needed) => ({ result, needed }))
  )
  const least = entries.reduce((a, b) => (total(b) < total(a) ? b : a))
  const cost = count(winner.result.routerDistances)
  if (isSame(least, winner))
    return `Choosing the bins costs it as much as ${cost} more comparisons a query; counted together it is still the cheapest.`
  const [own, other] = [total(winner), total(least)].map(count)
  return `Mind the router: choosing the bins costs ${titleOf(winner.result)} as much as ${cost} more comparisons a query, ${own} in all at ${percent(accuracy)}; ${nameOf(least.result, least.needed.probing)} makes do with ${other}.`
}

function balanceSentence(results: readonly MethodResult[]): string {
  const unequal = results.filter(({ balance }) => balance > unequalBalance)
  if (unequal.length === 0) return ''
  const worst = unequal.reduce((a, b) => (b.balance > a.balance ? b : a))
  const names = [...new Set(unequal.map(({ method }) => titles[method]))]
  return `Bins are of unequal size with ${list(names)}: up to ${worst.balance.toFixed(1)} times the mean (${titleOf(worst)}), which matters where bins are shards or pages of a disk.`
}

const titleOf = ({ method, bins }: MethodResult) => `${titles[method]} with ${count(bins)} bins`

const probingTitles: Readonly<Record<ProbingType, string>> = {
  probes: 'a fixed number of them read',
  recall: 'read by their probability'
}

const nameOf = (result: MethodResult, probing: ProbingType) => `${titleOf(result)} (${probingTitles[probing]})`

const count = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })
const percent = (share: number) => `${(100 * share).toFixed(0)} %`

function list(names: readonly string[]): string {
  return names.length === 1 ? `${names[0]}` : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
