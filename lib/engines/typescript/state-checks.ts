/** What a file says of an index is checked before anything trusts it. */
import { ArgumentError } from '../../errors.js'
import { eachRow } from '../../rows.js'
import type { SearchState } from '../engine.js'

const numbersTogether = 1 << 14

/** Throws ArgumentError naming the field. The arrays' lengths belong together: the file's layout says so. */
export async function checkState(state: SearchState, signal: AbortSignal | undefined): Promise<void> {
  const { bins, vectors, classifier, codes } = state
  await checkOffsets(bins.offsets, bins.ids.length, signal)
  await checkEachOnce(bins.ids, 'bins.ids', 'row number', signal)
  const floats: [string, Float32Array | Uint8Array | undefined][] = [
    ['vectors', vectors],
    ['classifier.parameters', classifier.parameters],
    ['classifier.buffers', classifier.buffers],
    ['classifier.input.mean', classifier.input.mean],
    ['classifier.input.scale', classifier.input.scale],
    ['codes.codebooks', codes?.codebooks],
    ['codes.means', codes?.means]
  ]
  for (const [name, values] of floats) if (values instanceof Float32Array) await checkFinite(values, name, signal)
  if (codes) await checkEachOnce(codes.columns, 'codes.columns', 'column', signal)
  if (!(Number.isFinite(classifier.temperature) && classifier.temperature > 0))
    throw new ArgumentError('classifier.temperature', 'must be a finite number above 0')
}

async function checkOffsets(offsets: Int32Array, rows: number, signal: AbortSignal | undefined): Promise<void> {
  let rises = offsets[0] === 0 && offsets.at(-1) === rows
  await eachRow(offsets.length - 1, signal, (bin) => {
    rises &&= (offsets[bin] as number) <= (offsets[bin + 1] as number)
  })
  if (!rises) throw new ArgumentError('bins.offsets', 'must rise from 0 to the number of vectors')
}

/** Whether the numbers are 0 .. n - 1 in some order. */
async function checkEachOnce(
  numbers: Int32Array,
  name: string,
  what: string,
  signal: AbortSignal | undefined
): Promise<void> {
  const seen = new Uint8Array(numbers.length)
  await eachRow(numbers.length, signal, (i) => {
    const number = numbers[i] as number
    if (seen[number] !== 0) throw new ArgumentError(name, `must hold every ${what} once`)
    seen[number] = 1
  })
}

async function checkFinite(values: Float32Array, name: string, signal: AbortSignal | undefined): Promise<void> {
  await eachRow(Math.ceil(values.length / numbersTogether), signal, (part) => {
    const some = values.subarray(part * numbersTogether, (part + 1) * numbersTogether)
    if (!some.every(Number.isFinite)) throw new ArgumentError(name, 'holds a value that is not a finite number')
  })
}
