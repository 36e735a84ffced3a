import { closeSync, createWriteStream, ftruncateSync, openSync, readdirSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createGzip, gzipSync } from 'node:zlib'
import test from 'ava'
import fc from 'fast-check'
import { ArgumentError, FileError } from '../../lib/errors.js'
import { type ReadVectorsOptions, readIds, readVectors } from '../../lib/formats/read.js'
import { encodeIdx, encodeNpy, encodeVecs, idxTypes, npyHeader } from './encode.js'
import { temporaryFolder } from './temporary-folder.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())

const floats = [
  [1.5, -2, 0.25],
  [3e30, -1e-30, 0],
  [7, 8, 9]
]
const flat = Float32Array.from(floats.flat())
const le = (values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer)

test('fvecs, bvecs and ivecs, plain and packed', async (t) => {
  const small = [
    [0, 255, 3],
    [4, 5, 6]
  ]
  const ids = [
    [2, 2 ** 31 - 1],
    [0, 16_777_217]
  ]
  for (const [name, wrap] of [
    ['', (bytes: Buffer) => bytes],
    ['.gz', gzipSync]
  ] as const) {
    const fvecs = await readVectors(folder.write(`a.fvecs${name}`, wrap(encodeVecs('f4', floats))))
    t.deepEqual(fvecs, { vectors: flat, rows: 3, dimensions: 3 })
    const bvecs = await readVectors(folder.write(`a.bvecs${name}`, wrap(encodeVecs('u1', small))))
    t.deepEqual(bvecs, { vectors: Float32Array.from(small.flat()), rows: 2, dimensions: 3 })
    const ivecs = await readIds(folder.write(`a.ivecs${name}`, wrap(encodeVecs('i4', ids))))
    t.deepEqual(ivecs, { ids: Int32Array.from(ids.flat()), rows: 2, columns: 2 })
  }
})

test('idx: every element type, any number of axes, plain and packed', async (t) => {
  for (const type of Object.keys(idxTypes) as (keyof typeof idxTypes)[]) {
    const values = [1, 2, 3, 4, 5, 6, 7, type === 'u1' ? 200 : -100]
    const bytes = encodeIdx(type, [2, 2, 2], values)
    const expected = { vectors: Float32Array.from(values), rows: 2, dimensions: 4 }
    t.deepEqual(await readVectors(folder.write(`${type}.idx`, bytes)), expected, type)
    t.deepEqual(await readVectors(folder.write(`${type}-idx3-ubyte.gz`, gzipSync(bytes))), expected, type)
  }
})

test('idx: real images', async (t) => {
  const path = fileURLToPath(new URL('samples/fashion-mnist-20-idx3-ubyte.gz', import.meta.url))
  const { vectors, rows, dimensions } = await readVectors(path)
  t.deepEqual([rows, dimensions], [20, 784])
  const sums = Array.from({ length: rows }, (_, row) =>
    vectors.subarray(row * 784, (row + 1) * 784).reduce((sum, pixel) => sum + pixel, 0)
  )
  const expected = [
    33456, 100994, 51520, 35377, 62655, 50259, 28111, 47766, 10246, 25492, 66248, 25688, 29752, 43427, 108009, 38029,
    53608, 75608, 63056, 83873
  ]
  t.deepEqual(sums, expected)
})

test('words: GloVe and word2vec, any white space, any word', async (t) => {
  const expected = {
    vectors: Float32Array.of(0.25, -1.5, 2e-5, 3),
    rows: 2,
    dimensions: 2,
    words: ['naïve\u00a0x', '...']
  }
  const texts = {
    'glove.txt': 'naïve\u00a0x 0.25 -1.5\n... 2e-05 3\n',
    'unfinished.txt': 'naïve\u00a0x 0.25 -1.5\n... +.00002 3.',
    'word2vec.vec': '2 2\nnaïve\u00a0x 0.25 -1.5 \n... 2E-5 3 \n',
    'windows.txt': 'naïve\u00a0x\t0.25   -1.5\r\n\r\n...\t2e-5\t3\r\n\r\n'
  }
  for (const [name, text] of Object.entries(texts)) {
    t.deepEqual(await readVectors(folder.write(name, text)), expected, name)
    t.deepEqual(await readVectors(folder.write(`${name}.gz`, gzipSync(text))), expected, `${name}.gz`)
  }
  t.deepEqual(
    await readVectors(folder.write('one', '7 5\n'.concat('a 1 2 3 4 5\n'.repeat(7))), { format: 'words', limit: 1 }),
    {
      vectors: Float32Array.of(1, 2, 3, 4, 5),
      rows: 1,
      dimensions: 5,
      words: ['a']
    }
  )
})

test('words: numbers come out as JavaScript reads them, lines of all lengths and chunk borders', async (t) => {
  const number = fc.oneof(
    fc.double({ noNaN: true, min: -1e6, max: 1e6 }).map(String),
    fc.double({ noNaN: true, min: -10, max: 10 }).map((value) => value.toFixed(5)),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 25n }), fc.bigInt({ min: 0n, max: 10n ** 25n }))
      .map(([a, b]) => `${a}.${b}`)
  )
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((text) => !/[ \t\r\n]/.test(text))
  const table = fc.array(fc.tuple(word, number, number, number), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(table, async (rows) => {
      // Repeated beyond a chunk of the reader, so that lines fall on its border.
      const many = Array.from({ length: 5000 }, (_, i) => rows[i % rows.length] ?? ['', '', '', ''])
      const path = folder.write('property.txt', many.map((row) => row.join(' ')).join('\n'))
      const { vectors, words } = await readVectors(path)
      t.is(words?.join(' '), many.map(([text]) => text).join(' '))
      t.true(Buffer.from(vectors.buffer).equals(le(many.flatMap(([, ...values]) => values.map(Number)))))
    }),
    { numRuns: 15, seed: 1 }
  )
})

test('the demo words', async (t) => {
  const { rows, dimensions, words, vectors } = await readVectors(
    fileURLToPath(new URL('../../demo/words.txt.gz', import.meta.url))
  )
  t.deepEqual([rows, dimensions, words?.length, vectors.length], [12_000, 100, 12_000, 1_200_000])
  t.is(words?.[0], 'the')
  t.is(vectors[0], Math.fround(-0.038))
  t.is(new Set(words).size, 12_000)
})

test('limit reads the first rows, of a damaged file too', async (t) => {
  const rows = Array.from({ length: 1000 }, (_, i) => [i, i + 1])
  const files: [string, Uint8Array][] = [
    ['l.fvecs', encodeVecs('f4', rows).subarray(0, 11_111)],
    ['l.fvecs.gz', gzipSync(encodeVecs('f4', rows))],
    ['l.idx', encodeIdx('i4', [1000, 2], rows.flat())],
    ['l.npy', encodeNpy(npyHeader('<f4', '(1000, 2)'), le(rows.flat()))],
    ['l.txt', Buffer.from(rows.map(([a, b]) => `w ${a} ${b}\n`).join(''))],
    ['l.vec.gz', gzipSync(`1000 2\n${rows.map(([a, b]) => `w ${a} ${b}\n`).join('')}`)]
  ]
  for (const [name, bytes] of files) {
    const result = await readVectors(folder.write(name, bytes), { limit: 7 })
    t.is(result.rows, 7, name)
    t.deepEqual(result.vectors, Float32Array.from(rows.slice(0, 7).flat()), name)
  }
  t.is((await readVectors(folder.path('l.fvecs.gz'), { limit: 5000 })).rows, 1000)
})

function wrongChecksum(gzip: Buffer): Buffer {
  return gzip.fill(0, gzip.length - 8, gzip.length - 4)
}

const badFiles: [name: string, bytes: Uint8Array | string, message: RegExp, row?: number][] = [
  ['empty.fvecs', '', /is empty/],
  ['empty.fvecs.gz', gzipSync(''), /is empty/],
  ['stub.fvecs', Buffer.from([3, 0]), /truncated: 2 bytes/, 0],
  ['negative.fvecs', encodeVecs('i4', [[1]]).fill(0xff, 0, 4), /holds -1 values/, 0],
  ['zero.fvecs', Buffer.alloc(8), /holds 0 values/, 0],
  ['absurd.fvecs', Buffer.from([0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]), /2147483647 values/, 0],
  ['first.fvecs', encodeVecs('f4', floats).subarray(0, 9), /truncated: 9 bytes of 16/, 0],
  ['last.fvecs', encodeVecs('f4', floats).subarray(0, 47), /truncated: 15 bytes of 16/, 2],
  ['header.fvecs', encodeVecs('f4', floats).subarray(0, 34), /truncated: 2 bytes of 16/, 2],
  ['last.fvecs.gz', gzipSync(encodeVecs('f4', floats).subarray(0, 47)), /truncated: 15 bytes of 16/, 2],
  ['change.fvecs', encodeVecs('f4', [[1, 2], [3, 4], [5]]), /holds 1 values, the rows before it 2/, 2],
  [
    'change.bvecs',
    encodeVecs('u1', [
      [1, 2],
      [3, 4, 5],
      [6, 7]
    ]),
    /holds 3 values, the rows before it 2/,
    1
  ],
  [
    'nan.fvecs',
    encodeVecs('f4', [
      [1, 2],
      [3, Number.NaN]
    ]),
    /column 1 is NaN/,
    1
  ],
  [
    'infinity.fvecs',
    encodeVecs('f4', [
      [1, 2],
      [Number.NEGATIVE_INFINITY, 3]
    ]),
    /column 0 is -Infinity/,
    1
  ],
  ['cut.fvecs.gz', gzipSync(encodeVecs('f4', Array(1000).fill([1, 2]))).subarray(0, -9), /gzip stream is truncated/],
  ['cut.txt.gz', gzipSync('a 1 2\n'.repeat(1000)).subarray(0, -9), /gzip stream is truncated/],
  ['crc.txt.gz', wrongChecksum(gzipSync('a 1 2\n'.repeat(1000))), /gzip stream is damaged/],
  ['plain.fvecs.gz', encodeVecs('f4', floats), /is not a gzip file/],
  ['packed.txt', gzipSync('a 1 2\n'), /is a gzip file: its name must end in .gz/],
  ['not.idx', encodeVecs('f4', floats), /not an idx file/],
  ['short.idx', Buffer.from([0, 0]), /not an idx file/],
  ['type.idx', Buffer.from([0, 0, 0x0a, 1, 0, 0, 0, 1]), /not an idx file/],
  ['header.idx', Buffer.from([0, 0, 8, 3, 0, 0, 0, 1]), /truncated in its header/],
  ['labels.idx', encodeIdx('u1', [4], [1, 2, 3, 4]), /one axis/],
  ['none.idx', encodeIdx('u1', [0, 4], []), /no rows/],
  ['cut.idx', encodeIdx('i4', [3, 2], [1, 2, 3, 4, 5]), /truncated: the header announces 3 x 2/, 2],
  ['cut.idx.gz', gzipSync(encodeIdx('i4', [3, 2], [1, 2, 3])), /truncated: the header announces 3 x 2/, 1],
  ['long.idx', encodeIdx('u1', [2, 2], [1, 2, 3, 4, 5]), /goes on after the 2 x 2/],
  ['long.idx.gz', gzipSync(encodeIdx('u1', [2, 2], [1, 2, 3, 4, 5])), /goes on after the 2 x 2/],
  ['many.idx', encodeIdx('u1', [2 ** 31, 1], [1]), /has 2147483648 rows; at most 2147483647/],
  ['wide.idx', encodeIdx('u1', [1, 2 ** 16, 2 ** 16], [1]), /4294967296 values/, 0],
  ['nan.idx', encodeIdx('f8', [2, 2], [1, 2, 3, Number.NaN]), /column 1 is NaN/, 1],
  ['large.idx', encodeIdx('f8', [2, 2], [1, 2, 1e39, 3]), /column 0 is 1e\+39, not a finite 32-bit float/, 1],
  ['not.npy', 'a 1 2\nb 3 4\n', /not an npy file/],
  ['short.npy', Buffer.from('\x93NUM', 'latin1'), /is no npy file, or is truncated/],
  ['version.npy', encodeNpy(npyHeader('<f4', '(1, 2)'), le([1, 2]), 9), /version 9/],
  ['header.npy', encodeNpy(npyHeader('<f4', '(1, 2)'), le([])).subarray(0, 40), /truncated in its header/],
  ['text.npy', encodeNpy('hello', le([1])), /header that is not NumPy's: hello/],
  ['half.npy', encodeNpy(npyHeader('<f2', '(1, 2)'), le([1])), /another type than .*astype/],
  [
    'record.npy',
    encodeNpy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1), }", le([1])),
    /another type than/
  ],
  ['fortran.npy', encodeNpy(npyHeader('<f4', '(1, 2)', 'True'), le([1, 2])), /ascontiguousarray/],
  ['axis.npy', encodeNpy(npyHeader('<f4', '(2,)'), le([1, 2])), /one axis/],
  ['scalar.npy', encodeNpy(npyHeader('<f4', '()'), le([1])), /one axis/],
  ['cut.npy', encodeNpy(npyHeader('<f4', '(3, 2)'), le([1, 2, 3])), /truncated: the header announces 3 x 2/, 1],
  ['long.npy', encodeNpy(npyHeader('<f4', '(1, 2)'), le([1, 2, 3])), /goes on after the 1 x 2/],
  ['nan.npy', encodeNpy(npyHeader('<f4', '(2, 2)'), le([1, 2, Number.NaN, 3])), /column 0 is NaN/, 1],
  [
    'claims.npy.gz',
    gzipSync(encodeNpy(npyHeader('<f4', '(2000000000, 1000)'), le([1]))),
    /truncated: it is too small for the 2000000000 x 1000/
  ],
  ['empty.txt', '\n\r\n \n', /holds no word vectors/],
  ['word.txt', 'hello\n', /a word and no numbers/, 0],
  ['less.txt', 'a 1 2\nb 1\n', /holds 1 numbers, expected 2/, 1],
  ['more.txt', 'a 1 2\nb 1 2\nc 1 2 3\n', /more than 2 numbers/, 2],
  ['space.txt', 'a 1 2\nb c 1 2\n', /column 0 is 'c', not a finite number/, 1],
  ['hexadecimal.txt', 'a 1 0x10\n', /column 1 is '0x10', not a finite number/, 0],
  ['nan.txt', 'a 1 2\nb 1 nan\n', /column 1 is 'nan', not a finite number/, 1],
  ['infinity.txt', 'a 1 2\nb -inf 2\n', /column 0 is '-inf', not a finite number/, 1],
  ['large.txt', 'a 1 2\nb 1e39 2\n', /column 0 is 1e\+39/, 1],
  ['indented.txt', 'a 1 2\n b 1 2\n', /the word is missing/, 1],
  ['header.txt', '3 2\na 1 2\nb 1 2\n', /announces 3 rows in its first line, but holds 2/],
  ['only-header.txt', '0 2\n', /holds no word vectors/],
  ['width.txt', '2 3\na 1 2\nb 1 2\n', /holds 2 numbers, expected 3/, 0],
  ['zeros.txt', '2 0\na\nb\n', /holds 0 values/, 0],
  ['binary.txt', Buffer.alloc(17 << 20, 'x'), /a line of more than/]
]

for (const [name, bytes, message, row] of badFiles) {
  test(`a bad file: ${name}`, async (t) => {
    const path = folder.write(`bad-${name}`, bytes)
    const error = await t.throwsAsync(readVectors(path), { instanceOf: FileError, message })
    t.is(error?.path, path)
    t.is(error?.row, row)
    t.true(error?.message.startsWith(path))
  })
}

test('bad ids', async (t) => {
  const negative = folder.write(
    'negative.ivecs',
    encodeVecs('i4', [
      [1, 2],
      [3, -1]
    ])
  )
  await t.throwsAsync(readIds(negative), { instanceOf: FileError, message: /row 1: column 1 is -1, not a row number/ })
  const large = folder.write(
    'large.npy',
    encodeNpy(npyHeader('<i8', '(1, 2)'), Buffer.from(BigInt64Array.of(5n, 2n ** 31n).buffer))
  )
  await t.throwsAsync(readIds(large), {
    instanceOf: FileError,
    message: /row 0: column 1 is 2147483648, not a row number/
  })
  const real = folder.write('real.npy', encodeNpy(npyHeader('<f4', '(1, 2)'), le([5, 1.5])))
  await t.throwsAsync(readIds(real), { instanceOf: FileError, message: /row 0: column 1 is 1.5, not a row number/ })
  await t.throwsAsync(readIds('truth.fvecs'), { instanceOf: ArgumentError, message: /^format: is fvecs/ })
})

test('not a file at all', async (t) => {
  await mkdir(folder.path('folder.fvecs'))
  await t.throwsAsync(readVectors(folder.path('folder.fvecs')), { instanceOf: FileError, message: /is a folder/ })
  await t.throwsAsync(readVectors(folder.path('missing.fvecs')), {
    instanceOf: FileError,
    message: /missing.fvecs: no such file/
  })
  await t.throwsAsync(readVectors('/dev/null', { format: 'npy' }), {
    instanceOf: FileError,
    message: /not a regular file/
  })
  await t.throwsAsync(readVectors(folder.path('folder.fvecs/a.npy')), { instanceOf: FileError })
})

test('more rows than can be numbered', async (t) => {
  const path = folder.path('sparse.bvecs')
  const file = openSync(path, 'w')
  writeSync(file, Buffer.from([1, 0, 0, 0, 7]))
  ftruncateSync(file, 5 * 2 ** 31)
  closeSync(file)
  await t.throwsAsync(readVectors(path), { instanceOf: FileError, message: /has 2147483648 rows; at most 2147483647/ })
})

test('wrong options', async (t) => {
  const wrong: [unknown, unknown, string][] = [
    ['a.fvecs', { format: 'csv' }, 'format'],
    ['a.csv', {}, 'format'],
    ['a.fvecs', { limit: 0 }, 'limit'],
    ['a.fvecs', { limit: 1.5 }, 'limit'],
    ['a.fvecs', { limit: '3' }, 'limit'],
    ['a.fvecs', { signal: true }, 'signal'],
    ['a.fvecs', { rows: 3 }, 'rows'],
    ['a.fvecs', null, 'options'],
    ['', {}, 'path'],
    [7, {}, 'path']
  ]
  for (const [path, options, argument] of wrong) {
    const error = await t.throwsAsync(readVectors(path as string, options as ReadVectorsOptions), {
      instanceOf: ArgumentError
    })
    t.is(error?.argument, argument)
  }
})

test('a signal stops the reading and the file is closed', async (t) => {
  const path = folder.write(
    'long.fvecs.gz',
    gzipSync(
      encodeVecs(
        'f4',
        Array.from({ length: 40_000 }, (_, i) => [i, 1, 2, 3, 4, 5])
      )
    )
  )
  const reason = new Error('enough')
  await t.throwsAsync(readVectors(path, { signal: AbortSignal.abort(reason) }), { is: reason })
  const controller = new AbortController()
  const reading = readVectors(path, { signal: controller.signal })
  await setImmediate()
  controller.abort(reason)
  await t.throwsAsync(reading, { is: reason })
  await t.throwsAsync(readVectors(folder.write('bad.fvecs', encodeVecs('f4', [[1, Number.NaN]]))))
  if (process.platform === 'linux') {
    const open = readdirSync('/proc/self/fd', { withFileTypes: true }).length
    for (let i = 0; i < 20; i++) await t.throwsAsync(readVectors(folder.path('bad.fvecs')))
    t.true(readdirSync('/proc/self/fd').length < open + 10)
  }
})

test('the event loop turns at least once for each 256 kB', async (t) => {
  const path = folder.path('turns.txt.gz')
  const gzip = createGzip({ level: 1 })
  const file = gzip.pipe(createWriteStream(path))
  const line = `word ${'0.12345 '.repeat(100)}\n`
  for (let i = 0; i < 100; i++) gzip.write(line.repeat(100))
  gzip.end()
  await finished(file)
  let turns = 0
  let reading = true
  const count = async (): Promise<void> => {
    for (; reading; turns++) await setImmediate()
  }
  const counting = count()
  const { rows } = await readVectors(path)
  reading = false
  await counting
  t.is(rows, 10_000)
  t.true(turns >= (rows * line.length) / 2 ** 18, `${turns} turns`)
})
