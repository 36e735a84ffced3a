import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { ArgumentError, FileError } from '../../lib/errors.js'
import { readIds, readVectors } from '../../lib/formats/read.js'
import { writeFvecs, writeIvecs } from '../../lib/formats/write.js'
import { encodeVecs } from './encode.js'
import { temporaryFolder } from './temporary-folder.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())

test.serial('fvecs and ivecs, byte for byte', async (t) => {
  const rows = [
    [1, 2, 3],
    [4, 5, 6]
  ]
  await writeFvecs(folder.path('a.fvecs'), Float32Array.from(rows.flat()), 3)
  t.deepEqual(readFileSync(folder.path('a.fvecs')), encodeVecs('f4', rows))
  await writeIvecs(folder.path('a.ivecs'), Int32Array.from([9, 9, ...rows.flat()]).subarray(2), 3)
  t.deepEqual(readFileSync(folder.path('a.ivecs')), encodeVecs('i4', rows))
  t.deepEqual(readdirSync(folder.path('')).sort(), ['a.fvecs', 'a.ivecs'])
})

test.serial('what is written is read, whatever the size', async (t) => {
  const sizes = fc.record({ rows: fc.integer({ min: 1, max: 3000 }), columns: fc.integer({ min: 1, max: 300 }) })
  await fc.assert(
    fc.asyncProperty(sizes, async ({ rows, columns }) => {
      const vectors = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i))
      await writeFvecs(folder.path('b.fvecs'), vectors, columns)
      const read = await readVectors(folder.path('b.fvecs'))
      t.deepEqual([read.rows, read.dimensions], [rows, columns])
      t.true(Buffer.from(vectors.buffer).equals(Buffer.from(read.vectors.buffer)))
      const ids = Int32Array.from({ length: rows * columns }, (_, i) => 2 ** 31 - 1 - i)
      await writeIvecs(folder.path('b.ivecs'), ids, columns)
      const readBack = await readIds(folder.path('b.ivecs'))
      t.deepEqual([readBack.rows, readBack.columns], [rows, columns])
      t.true(Buffer.from(ids.buffer).equals(Buffer.from(readBack.ids.buffer)))
    }),
    { numRuns: 20, seed: 1 }
  )
})

test.serial('wrong arguments', async (t) => {
  const vectors = new Float32Array(6)
  const wrong: [() => Promise<void>, string][] = [
    [() => writeFvecs(folder.path('c.fvecs'), vectors, 4), 'vectors'],
    [() => writeFvecs(folder.path('c.fvecs'), new Float32Array(0), 4), 'vectors'],
    [() => writeFvecs(folder.path('c.fvecs'), new Float64Array(6) as unknown as Float32Array, 3), 'vectors'],
    [() => writeFvecs(folder.path('c.fvecs'), vectors, 0), 'dimensions'],
    [() => writeFvecs(folder.path('c.fvecs'), vectors, 1.5), 'dimensions'],
    [() => writeFvecs(folder.path('c.fvecs.gz'), vectors, 3), 'path'],
    [() => writeFvecs('', vectors, 3), 'path'],
    [() => writeIvecs(folder.path('c.ivecs'), vectors as unknown as Int32Array, 3), 'ids'],
    [() => writeIvecs(folder.path('c.ivecs'), new Int32Array(6), -1), 'columns']
  ]
  for (const [write, argument] of wrong)
    t.is((await t.throwsAsync(write, { instanceOf: ArgumentError }))?.argument, argument)
})

test.serial('a failed or stopped writing leaves the old file and nothing else', async (t) => {
  const inner = temporaryFolder()
  t.teardown(() => inner.remove())
  const path = inner.path('d.fvecs')
  writeFileSync(path, 'old')
  const reason = new Error('enough')
  await t.throwsAsync(writeFvecs(path, new Float32Array(6), 3, { signal: AbortSignal.abort(reason) }), { is: reason })
  t.is(readFileSync(path, 'utf8'), 'old')
  t.deepEqual(readdirSync(inner.path('')), ['d.fvecs'])
  await t.throwsAsync(writeFvecs(inner.path('none/d.fvecs'), new Float32Array(6), 3), {
    instanceOf: FileError,
    message: /no such file or folder/
  })
  await t.throwsAsync(writeFvecs(inner.path(''), new Float32Array(6), 3), { instanceOf: FileError })
  t.deepEqual(readdirSync(inner.path('')), ['d.fvecs'])
})
