/** What has a rank among many values, without sorting them. */
import type { Steps } from '../turns.js'

const swapsOfStep = 4096

/** One of the values, and where it stands among them. */
export interface Place {
  value: number
  index: number
}

/** 0 .. count - 1 */
export function ascending(count: number): Int32Array<ArrayBuffer> {
  const numbers = new Int32Array(count)
  for (let i = 0; i < count; i++) numbers[i] = i
  return numbers
}

/** The place of that rank, from 0, ties by index (quickselect: Hoare 1961). The values are left as they are. */
export function* placeOfRank(values: Float64Array, rank: number): Steps<Place> {
  const order = ascending(values.length)
  const valueAt = (i: number) => values[order[i] as number] as number
  let first = 0
  let last = order.length - 1
  let swaps = 0
  while (first < last) {
    const index = order[(first + last) >> 1] as number
    const value = values[index] as number
    let i = first
    let j = last
    while (i <= j) {
      while (valueAt(i) < value || (valueAt(i) === value && (order[i] as number) < index)) i++
      while (valueAt(j) > value || (valueAt(j) === value && (order[j] as number) > index)) j--
      if (i > j) break
      const swapped = order[i] as number
      order[i++] = order[j] as number
      order[j--] = swapped
      if (++swaps % swapsOfStep === 0) yield 0
    }
    if (rank <= j) last = j
    else if (rank >= i) first = i
    else break
  }
  const index = order[rank] as number
  return { value: values[index] as number, index }
}
