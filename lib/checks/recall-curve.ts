/** What an index file says of its recall, judged before it is believed. */
import type { RecallCurve } from '../engines/engine.js'
import { ArgumentError } from '../errors.js'
import { largestId } from './arrays.js'
import { Field, isIntegerWithin, isNumber, read } from './fields.js'

/** Judges the recall curve of an index file. */
export function readRecallCurve(curve: unknown): RecallCurve {
  const known = read(curveTable, curve, 'curve.')
  const { recall, probability, candidates, reranked, loss } = known
  const isWhole = recall.at(-1) === 1 && probability.length === recall.length && candidates.length === recall.length
  if (!isWhole)
    throw new ArgumentError('curve.recall', 'must end with 1 and be as long as curve.probability and curve.candidates')
  if (reranked.length !== loss.length)
    throw new ArgumentError('curve.loss', 'must have as many entries as curve.reranked')
  return known
}

const mostEntries = 1000
const listWhere = (what: string, holds: (one: number, before: number | undefined) => boolean) =>
  new Field<readonly number[]>(
    `an array of at most ${mostEntries} ${what}`,
    (value) =>
      Array.isArray(value) &&
      value.length <= mostEntries &&
      value.every((one, i) => isNumber(one) && holds(one, value[i - 1]))
  )
const shares = listWhere('numbers from 0 to 1', (one) => one >= 0 && one <= 1)
export const risingShares = listWhere('rising numbers from 0 to 1', (one, before = 0) => one >= before && one <= 1)
const curveTable = {
  recall: risingShares,
  probability: shares,
  candidates: listWhere('whole numbers from 1', (one) => isIntegerWithin(1, largestId)(one)),
  reranked: listWhere('rising numbers from 1', (one, before = 1) => one >= before && one <= largestId),
  loss: shares
}
