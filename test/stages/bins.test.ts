import test from 'ava'
import { groupIntoBins } from '../../lib/index.js'
import { randomNumbers } from '../engines/brute-force.js'

test('by hand: rows ascend in their bin, and bins may be empty', async (t) => {
  t.deepEqual(await groupIntoBins(Int32Array.of(3, 1, 3, 1, 1), 5), {
    offsets: Int32Array.of(0, 0, 3, 3, 5, 5),
    ids: Int32Array.of(1, 3, 4, 0, 2)
  })
})

test('many rows', async (t) => {
  const random = randomNumbers(7)
  const labels = Int32Array.from({ length: 100_000 }, () => Math.floor(300 * random()))
  const { offsets, ids } = await groupIntoBins(labels, 300)
  const expected = Array.from(labels.keys()).sort((a, b) => (labels[a] as number) - (labels[b] as number) || a - b)
  t.deepEqual(ids, Int32Array.from(expected))
  const starts = Array.from({ length: 300 }, (_, bin) => expected.findIndex((row) => labels[row] === bin))
  t.deepEqual(Array.from(offsets), [...starts, 100_000])
})
