/** What the figures of a comparison say, in words. */
import { titles } from '../methods.js'
import type { MethodResult, NeededCandidates, ProbingType } from './comparison.js'

/** Where methods are judged: every method gets there, if it reads enough bins. */
const judgedAccuracies = [0.9, 0.95]
/** Largest bin / mean bin beyond which shards and disks notice. */
const unequalBalance = 2

type Figures = Pick<MethodResult, 'method' | 'bins' | 'needed' | 'routerDistances' | 'balance'>

/** A method with a number of bins, a way of choosing them and an accuracy. */
interface Entry {
  result: Figures
  needed: NeededCandidates
}

/** By what entries are judged, and which of their figures compares them with k-means. */
interface Measure {
  value: (entry: Entry) => number
  toKmeans: (needed: NeededCandidates) => number | undefined
}

const byMean: Measure = {
  value: ({ needed }) => needed.candidatesMean,
  toKmeans: ({ meanToKmeans }) => meanToKmeans
}
const byTail: Measure = { value: ({ needed }) => needed.candidatesQ95, toKmeans: ({ q95ToKmeans }) => q95ToKmeans }

/** With the work of the router, counted in candidates. */
const totalOf = ({ result, needed }: Entry) => result.routerDistances + needed.candidatesMean

/** A paragraph: which method suits these data, and what speaks against it. */
export function verdictOf(results: readonly Figures[]): string {
  const winners = (measure: Measure) =>
    judgedAccuracies.map((accuracy) => best(entriesOf(results, accuracy), measure.value))
  const [mean, tail] = [winners(byMean), winners(byTail)]
  const sentences = [
    `By candidates on average the best is ${praise(mean, byMean)}.`,
    `By the costliest queries (0.95-quantile of the candidates) it is ${praise(tail, byTail)}.`,
    ...(mean.some((entry) => byMean.toKmeans(entry.needed) !== undefined)
      ? ['Plain k-means reads a fixed number of as many bins.']
      : []),
    routerSentence(results, mean[0] as Entry),
    ...balanceSentences(results)
  ]
  return sentences.join(' ')
}

const entriesOf = (results: readonly Figures[], accuracy: number): Entry[] =>
  results.flatMap((result) =>
    result.needed.filter((one) => one.accuracy === accuracy).map((needed) => ({ result, needed }))
  )

const best = (entries: readonly Entry[], value: Measure['value']) =>
  entries.reduce((least, one) => (value(one) < value(least) ? one : least))

const isSame = (a: Entry, b: Entry) => a.result === b.result && a.needed.probing === b.needed.probing

/** Who wins with which figures; named once where it wins everywhere. */
function praise(winners: readonly Entry[], measure: Measure): string {
  const parts = winners.map((entry, i) => {
    const before = winners[i - 1]
    const name = before !== undefined && isSame(before, entry) ? '' : `${nameOf(entry)}: `
    const goal = `${percent(entry.needed.accuracy)}${i === 0 ? ' of the true neighbors' : ''}`
    return `${name}${count(measure.value(entry))} for ${goal}${besideKmeans(measure.toKmeans(entry.needed))}`
  })
  return parts.join(', ')
}

function besideKmeans(ratio: number | undefined): string {
  if (ratio === undefined || ratio === 1) return ''
  return ` (${percent(Math.abs(1 - ratio))} ${ratio < 1 ? 'fewer' : 'more'} than plain k-means)`
}

/** Where the work of the router is counted, another may win. */
function routerSentence(results: readonly Figures[], winner: Entry): string {
  const { accuracy } = winner.needed
  const least = best(entriesOf(results, accuracy), totalOf)
  const cost = count(winner.result.routerDistances)
  const work = `choosing the bins costs ${titleOf(winner.result)} as much as ${cost} more comparisons a query`
  if (isSame(least, winner)) return `Counting the router does not change that: ${work}.`
  const [own, other] = [winner, least].map((entry) => count(totalOf(entry)))
  return `Mind the router: ${work}, ${own} in all for ${percent(accuracy)}; ${nameOf(least)}, makes do with ${other}.`
}

function balanceSentences(results: readonly Figures[]): string[] {
  const unequal = results.filter(({ balance }) => balance > unequalBalance)
  if (unequal.length === 0) return []
  const worst = unequal.reduce((a, b) => (b.balance > a.balance ? b : a))
  const names = [...new Set(unequal.map(({ method }) => titles[method]))].join(', ')
  const most = `${worst.balance.toFixed(1)} times the mean (${titleOf(worst)})`
  return [
    `Bins are of unequal size with ${names}: up to ${most}, which matters where bins are shards or pages of a disk.`
  ]
}

const ways: Readonly<Record<ProbingType, string>> = {
  probes: 'a fixed number of them read',
  recall: 'read by their probability'
}

const titleOf = ({ method, bins }: Figures) => `${titles[method]} with ${count(bins)} bins`
const nameOf = ({ result, needed }: Entry) => `${titleOf(result)}, ${ways[needed.probing]}`
const count = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 })
const percent = (share: number) => `${(100 * share).toFixed(0)} %`
