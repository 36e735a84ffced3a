import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import test from 'ava'
import fc from 'fast-check'
import type { Layer, Network } from '../../lib/classifier/network.js'
import type { Classifier } from '../../lib/engines/engine.js'
import { ArgumentError, FileError } from '../../lib/errors.js'
import { readIndexBytes } from '../../lib/formats/index-bytes.js'
import { readIndexFile as readFromDisk, writeIndexFile } from '../../lib/formats/index-file.js'
import type { IndexContents, IndexFileOptions } from '../../lib/formats/index-layout.js'
import { denseNetwork, imageNetwork, randomNumbers, sampleIndex, twoLevels } from './sample-index.js'
import { temporaryFolder } from './temporary-folder.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())

/** Both readers must say the same, of good files and of bad ones. */
async function readIndexFile(path: string, options: IndexFileOptions = {}): Promise<IndexContents> {
  const fromDisk = readFromDisk(path, options)
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile()
  const [file, bytes] = await Promise.allSettled([
    fromDisk,
    isFile ? readIndexBytes(path, readFileSync(path), options) : fromDisk
  ])
  assert.deepEqual(bytes, file)
  return fromDisk
}

const small = sampleIndex({ rows: 5, network: denseNetwork(3, 4, 2), words: ['a', 'être', '', '😀', 'piano'] })

async function bytesOf(contents: IndexContents, name: string): Promise<Buffer> {
  await writeIndexFile(folder.path(name), contents)
  return readFileSync(folder.path(name))
}

test('a written index is read as it was', async (t) => {
  await writeIndexFile(folder.path('a.nlsh'), small)
  const read = await readIndexFile(folder.path('a.nlsh'))
  t.deepEqual(read, small)
  const { classifier, bins, vectors } = read.state
  const arrays = [classifier.parameters, classifier.buffers, classifier.input.mean, bins.ids, bins.offsets]
  t.true(
    arrays.every(({ buffer }) => buffer === vectors.buffer),
    'one allocation'
  )
})

const size = fc.integer({ min: 1, max: 9 })
const inner = fc.constantFrom<Layer>(
  { type: 'conv2d', channels: 3, kernel: 1, stride: 1, padding: 0, bias: true },
  { type: 'average-pool2d', kernel: 2, stride: 2, padding: 1 },
  { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 },
  { type: 'leaky-relu', slope: 0.2 },
  { type: 'elu', alpha: 1.5 },
  { type: 'gelu' }
)
const networks: fc.Arbitrary<Network> = fc
  .tuple(fc.tuple(size, size, size), fc.array(inner, { maxLength: 6 }), size)
  .map(([inputShape, layers, outputs]) => ({
    inputShape,
    layers: [...layers, { type: 'flatten' }, { type: 'linear', outputs, bias: true }]
  }))

test('round trips of all shapes', async (t) => {
  const shape = fc.record({
    rows: fc.integer({ min: 1, max: 50 }),
    network: networks,
    unitLength: fc.boolean(),
    seed: fc.integer(),
    metric: fc.constantFrom('euclidean' as const, 'cosine' as const, 'inner-product' as const),
    texts: fc.option(fc.array(fc.string({ unit: 'binary', maxLength: 9 }), { minLength: 50, maxLength: 50 }))
  })
  const description = fc
    .dictionary(fc.string({ unit: 'binary' }), fc.jsonValue())
    .filter((value) => !Object.hasOwn(value, '__proto__'))
  await fc.assert(
    fc.asyncProperty(shape, description, async ({ texts, ...options }, described) => {
      const words = texts?.slice(0, options.rows)
      const contents = { ...sampleIndex({ ...options, words }), description: JSON.parse(JSON.stringify(described)) }
      await writeIndexFile(folder.path('property.nlsh'), contents)
      t.deepEqual(await readIndexFile(folder.path('property.nlsh')), contents)
    }),
    { numRuns: 100, seed: 1 }
  )
})

test('larger than a chunk, off the event loop; the same contents give the same bytes', async (t) => {
  const rows = 20_000
  const contents = sampleIndex({
    rows,
    network: denseNetwork(64, 512, 256),
    words: Array.from({ length: rows }, (_, i) => `word ${i}`)
  })
  let turns = 0
  let working = true
  const count = async (): Promise<void> => {
    for (; working; turns++) await setImmediate()
  }
  const counting = count()
  const first = await bytesOf(contents, 'first.nlsh')
  const read = await readIndexFile(folder.path('first.nlsh'))
  working = false
  await counting
  t.true(turns > (3 * first.length) / 2 ** 20, `${turns} turns`)
  t.true(first.equals(await bytesOf(read, 'second.nlsh')))
  t.deepEqual(read.words, contents.words)
})

test('the layout is what the documents say', async (t) => {
  const bytes = await bytesOf(small, 'layout.nlsh')
  const headerBytes = 8 + Number(bytes.readBigUInt64LE())
  t.is(headerBytes % 64, 0)
  const { __metadata__: metadata, ...tensors } = JSON.parse(bytes.toString('utf8', 8, headerBytes))
  t.like(metadata, {
    format: 'neural-lsh',
    version: '4',
    metric: 'euclidean',
    input: 'as-is',
    vectors: 'floats',
    scan: 'exact',
    network: JSON.stringify(denseNetwork(3, 4, 2)),
    description: JSON.stringify(small.description)
  })
  const shapes = Object.entries(tensors as Record<string, { dtype: string; shape: number[] }>).map(
    ([name, { dtype, shape }]) => [name, dtype, shape]
  )
  t.deepEqual(shapes, [
    ['bins.vectors', 'F32', [5, 3]],
    ['classifier.0.weight', 'F32', [4, 3]],
    ['classifier.0.bias', 'F32', [4]],
    ['classifier.2.weight', 'F32', [2, 4]],
    ['classifier.2.bias', 'F32', [2]],
    ['input.mean', 'F32', [3]],
    ['input.scale', 'F32', [3]],
    ['output.temperature', 'F32', [1]],
    ['bins.offsets', 'I32', [3]],
    ['bins.ids', 'I32', [5]],
    ['words.offsets', 'I32', [6]],
    ['words.bytes', 'U8', [15]]
  ])
  for (const [name, checksum] of Object.entries(JSON.parse(metadata.checksums))) {
    const [begin, end] = tensors[name].data_offsets
    t.is(
      crc32(bytes.subarray(headerBytes + begin, headerBytes + end))
        .toString(16)
        .padStart(8, '0'),
      checksum as string,
      name
    )
  }
})

test('parameters stand layer by layer, then the running statistics; a classifier holds what stands there', async (t) => {
  const { state, description } = sampleIndex({ rows: 4, network: imageNetwork, unitLength: true })
  const bytes = await bytesOf({ state, description }, 'image.nlsh')
  const headerBytes = 8 + Number(bytes.readBigUInt64LE())
  const { __metadata__: metadata, ...tensors } = JSON.parse(bytes.toString('utf8', 8, headerBytes))
  t.is(metadata.input, 'unit-length')
  t.deepEqual(JSON.parse(metadata.network), imageNetwork)
  const stored = (Object.entries(tensors) as [string, { shape: number[]; data_offsets: [number, number] }][])
    .filter(([name]) => name.startsWith('classifier.'))
    .map(([name, { shape, data_offsets }]) => ({ name, shape, data_offsets }))
  t.deepEqual(
    stored.map(({ name, shape }) => [name, shape]),
    [
      ['classifier.0.weight', [5, 2, 2, 2]],
      ['classifier.1.weight', [5]],
      ['classifier.1.bias', [5]],
      ['classifier.5.weight', [7, 60]],
      ['classifier.5.bias', [7]],
      ['classifier.6.weight', [7]],
      ['classifier.6.bias', [7]],
      ['classifier.8.weight', [3, 7]],
      ['classifier.1.running_mean', [5]],
      ['classifier.1.running_var', [5]],
      ['classifier.6.running_mean', [7]],
      ['classifier.6.running_var', [7]]
    ]
  )
  const numbers = stored.flatMap(({ data_offsets: [begin, end] }) =>
    Array.from({ length: (end - begin) / 4 }, (_, i) => bytes.readFloatLE(headerBytes + begin + 4 * i))
  )
  t.deepEqual(numbers, [...state.classifier.parameters, ...state.classifier.buffers])
  t.deepEqual(await readIndexFile(folder.path('image.nlsh')), { state, description })
})

test('of two levels, the networks of the groups follow the first one, group by group', async (t) => {
  const contents = sampleIndex({ rows: 30, network: twoLevels })
  const bytes = await bytesOf(contents, 'levels.nlsh')
  const { __metadata__: _, ...tensors } = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())))
  const child = (group: number, ...names: string[]) => names.map((name) => `classifier.children.${group}.${name}`)
  const parameters = (group: number) => child(group, '0.weight', '0.bias', '1.weight', '1.bias', '3.weight')
  const running = (group: number) => child(group, '1.running_mean', '1.running_var')
  t.deepEqual(
    Object.keys(tensors).filter((name) => name.startsWith('classifier.')),
    [
      ...['0.weight', '0.bias', '2.weight', '2.bias'].map((name) => `classifier.${name}`),
      ...[0, 1, 2].flatMap(parameters),
      ...[0, 1, 2].flatMap(running)
    ]
  )
  t.deepEqual(await readIndexFile(folder.path('levels.nlsh')), contents)
})

test('every truncation gives the typed error', async (t) => {
  const bytes = await bytesOf(small, 'whole.nlsh')
  const path = folder.write('cut.nlsh', bytes)
  for (let size = bytes.length - 1; size >= 0; size--) {
    truncateSync(path, size)
    const error = await t.throwsAsync(readIndexFile(path), { instanceOf: FileError }, `${size} bytes`)
    t.is(error?.path, path)
  }
})

for (const [scan, areBytes, expected] of [
  ['exact', true, ['words.offsets I32 6', 'bins.vectors U8 5,3', 'words.bytes U8 15']],
  ['int8', false, ['words.offsets I32 6', 'words.bytes U8 15']],
  [
    'pq4',
    true,
    [
      'codes.codebooks F32 2,16,2',
      'codes.means F32 2,3',
      'codes.columns I32 3',
      'words.offsets I32 6',
      'bins.vectors U8 5,3',
      'codes.codes U8 5,1',
      'words.bytes U8 15'
    ]
  ]
] as const) {
  test(`the file of scan ${scan} over ${areBytes ? 'bytes' : 'floats'} has what it needs, and comes back whole`, async (t) => {
    const network = denseNetwork(3, 4, 2)
    const contents = sampleIndex({ rows: 5, network, scan, areBytes, words: small.words?.slice() })
    const bytes = await bytesOf(contents, `${scan}.nlsh`)
    const headerBytes = 8 + Number(bytes.readBigUInt64LE())
    const { __metadata__: _, ...tensors } = JSON.parse(bytes.toString('utf8', 8, headerBytes))
    const found = Object.entries(tensors as Record<string, { dtype: string; shape: number[] }>)
    const after = found.findIndex(([name]) => name === 'bins.ids') + 1
    t.deepEqual(
      found.slice(after).map(([name, { dtype, shape }]) => `${name} ${dtype} ${shape}`),
      [...expected]
    )
    const { state } = await readIndexFile(folder.path(`${scan}.nlsh`))
    t.deepEqual(state, contents.state)
  })
}

test('every byte counts: changed in any of its bits, doubled or removed', async (t) => {
  const bytes = await bytesOf(small, 'good.nlsh')
  const random = randomNumbers(7)
  const change = async (changed: Uint8Array, what: string): Promise<void> => {
    await t.throwsAsync(readIndexFile(folder.write('changed.nlsh', changed)), { instanceOf: FileError }, what)
  }
  for (let i = 0; i < 1000; i++) {
    const at = Math.floor(random() * bytes.length)
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ (1 + Math.floor(random() * 255))
    await change(changed, `byte ${at} is ${changed[at]}`)
  }
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    await change(changed, `byte ${at}`)
  }
  await change(Buffer.concat([bytes, Buffer.alloc(1)]), 'a byte more')
  await change(Buffer.concat([bytes, bytes]), 'twice')
  await change(bytes.subarray(1), 'a byte less in front')
})

type Json = Record<string, unknown>
type Entry = { dtype: unknown; shape: unknown; data_offsets: unknown }

/** The file with another header, all checksums right. */
function withHeader(bytes: Buffer, edit: (text: string) => string): Buffer {
  const headerBytes = 8 + Number(bytes.readBigUInt64LE())
  const text = Buffer.from(edit(bytes.toString('utf8', 8, headerBytes).trimEnd()))
  const header = Buffer.alloc(Math.ceil((8 + text.length) / 64) * 64, ' ')
  header.writeBigUInt64LE(BigInt(header.length - 8))
  text.copy(header, 8)
  const place = header.indexOf('"checksum":"') + '"checksum":"'.length
  header.write('00000000', place)
  header.write(crc32(header).toString(16).padStart(8, '0'), place)
  return Buffer.concat([header, bytes.subarray(headerBytes)])
}

const json = (edit: (header: Json & { __metadata__: Record<string, string> }) => void) => (text: string) => {
  const header = JSON.parse(text)
  edit(header)
  return JSON.stringify(header)
}
const tensor = (name: string, edit: Partial<Entry>) => json((header) => Object.assign(header[name] as Json, edit))
const metadata = (edit: Record<string, unknown>) => json((header) => Object.assign(header.__metadata__, edit))

const network = (edit: Json, instead = '"@"') =>
  metadata({ network: JSON.stringify({ ...denseNetwork(3, 4, 2), ...edit }).replace('"@"', instead) })
const linear = (outputs: number) => ({ type: 'linear', outputs, bias: true })

const hostile: [what: string, edit: (text: string) => string, message: RegExp][] = [
  ['a newer version', metadata({ version: '5' }), /version 5; this release reads version 4: a newer neural-lsh/],
  [
    'an older version',
    metadata({ version: '3' }),
    /version 3; .*: an older neural-lsh wrote it: build the index again/
  ],
  ['another format', metadata({ format: 'pt' }), /format 'pt'/],
  ['another metric', metadata({ metric: 'hamming' }), /metric 'hamming'/],
  ['another scan', metadata({ scan: 'pq8' }), /scan 'pq8', expected one of exact, int8, pq4/],
  [
    'codes that are not there',
    metadata({ scan: 'pq4' }),
    /tensor 10 is words.offsets .*expected codes.codebooks F32 \[2,16,2\]/
  ],
  [
    'vectors of another kind',
    metadata({ vectors: 'bytes' }),
    /tensor 0 is bins.vectors .*expected classifier.0.weight/
  ],
  ['a number in the metadata', metadata({ metric: 3 }), /metadata that are not strings/],
  ['a description that is no JSON', metadata({ description: '{' }), /field 'description' that is not JSON/],
  [
    'a description that is no object',
    metadata({ description: '[1]' }),
    /field 'description' that is not a JSON object/
  ],
  ['no description', json((header) => delete header.__metadata__.description), /field 'description' that is not JSON/],
  ['checksums that are no JSON', metadata({ checksums: 'x' }), /field 'checksums' that is not JSON/],
  ['no checksums', metadata({ checksums: '{}' }), /checksum of tensor bins.vectors is wrong/],
  ['not JSON', (text) => text.slice(0, -1), /header that is not JSON/],
  ['more than JSON', (text) => `${text}{}`, /header that is not JSON/],
  ['spaces between', (text) => text.replace('"bins.ids":', '"bins.ids": '), /compact JSON object/],
  [
    'a name twice',
    (text) => text.replace('"bins.ids":', '"bins.ids":{"dtype":"I32","shape":[5],"data_offsets":[0,20]},"bins.ids":'),
    /each name once/
  ],
  ['__proto__', (text) => text.replace('"bins.ids":', '"__proto__":'), /tensor 9 is __proto__/],
  ['constructor', (text) => text.replace('"bins.ids":', '"constructor":'), /tensor 9 is constructor/],
  ['deep nesting', (text) => `${text.slice(0, -1)},"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`, /header/],
  [
    'deep nesting in the description',
    metadata({ description: `{"x":${'['.repeat(100_000)}}` }),
    /field 'description' that is not JSON/
  ],
  ['another dtype', tensor('bins.ids', { dtype: 'F16' }), /another type than/],
  [
    'a swapped dtype',
    tensor('bins.ids', { dtype: 'F32' }),
    /tensor 9 is bins.ids F32 \[5\], expected bins.ids I32 \[5\]/
  ],
  ['no shape', json((header) => delete (header['bins.ids'] as Json).shape), /needs dtype, shape and data_offsets/],
  [
    'null for a tensor',
    json((header) => Object.assign(header, { 'bins.ids': null })),
    /needs dtype, shape and data_offsets/
  ],
  ['a shape too large', tensor('bins.ids', { shape: [6] }), /takes 20 bytes, but its shape \[6\] takes 24/],
  [
    'a shape that overflows',
    tensor('bins.ids', { shape: [2 ** 31, 2 ** 31, 2 ** 31, 5] }),
    /takes 20 bytes, but its shape/
  ],
  [
    'a shape that overflows to zero',
    tensor('bins.ids', { shape: [2 ** 32, 2 ** 32, 0] }),
    /takes 20 bytes, but its shape/
  ],
  ['a negative shape', tensor('bins.ids', { shape: [-5] }), /not lists of whole numbers/],
  ['two negative shapes', tensor('bins.ids', { shape: [-5, -1] }), /not lists of whole numbers/],
  ['a broken shape', tensor('bins.ids', { shape: [2.5, 2] }), /not lists of whole numbers/],
  ['a shape of text', tensor('bins.ids', { shape: ['5'] }), /not lists of whole numbers/],
  ['a shape beyond all numbers', (text) => text.replace('"shape":[5],', '"shape":[1e999],'), /compact JSON object/],
  ['another rank', tensor('bins.ids', { shape: [5, 1] }), /expected bins.ids I32 \[5\]/],
  ['backward offsets', tensor('bins.ids', { data_offsets: [20, 0] }), /not \[begin, end\]/],
  ['three offsets', tensor('bins.ids', { data_offsets: [0, 20, 40] }), /not \[begin, end\]/],
  ['overlapping offsets', tensor('bins.ids', { data_offsets: [0, 20] }), /a hole or an overlap/],
  [
    'offsets beyond the file',
    tensor('words.bytes', { shape: [2 ** 40], data_offsets: [232, 232 + 2 ** 40] }),
    /truncated or has bytes to spare|a hole or an overlap/
  ],
  ['a tensor too few', json((header) => delete header['words.bytes']), /truncated or has bytes to spare/],
  [
    'a tensor too many',
    json((header) => Object.assign(header, { 'input.zero': { dtype: 'U8', shape: [0], data_offsets: [0, 0] } })),
    /tensor 0 is input.zero/
  ],
  [
    'a layer that does not fit the next',
    tensor('classifier.0.weight', { shape: [3, 4] }),
    /classifier.0.weight F32 \[3,4\], expected .*\[4,3\]/
  ],
  ['vectors of another length', tensor('bins.vectors', { shape: [3, 5] }), /expected/],
  ['no weights', (text) => text.replaceAll('"classifier.', '"klassifier.'), /tensor 1 is klassifier.0.weight/],
  ['another input', metadata({ input: 'centered' }), /input 'centered', expected one of unit-length, as-is/],
  ['no network', json((header) => delete header.__metadata__.network), /field 'network' that is not JSON/],
  ['a network that is no object', metadata({ network: '[]' }), /field 'network' that is not a JSON object/],
  ['a network too long to read', metadata({ network: ' '.repeat(1 << 17) }), /network that takes 131072 characters/],
  ['a network of nothing', network({ layers: [] }), /network.layers: must end in a layer that has an output/],
  ['a network for other vectors', network({ inputShape: [4, 1, 1] }), /bins.vectors F32 \[5,3\], expected .*\[5,4\]/],
  ['a network of two sides', network({ inputShape: [3, 1] }), /network.inputShape/],
  ['a network of nesting', network({ inputShape: '@' }, `${'['.repeat(20_000)}${']'.repeat(20_000)}`), /:/],
  [
    'a network with more layers',
    network({ layers: [linear(4), { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 }, linear(2)] }),
    /tensor 3 is classifier.2.weight F32 \[2,4\], expected classifier.1.weight F32 \[4\]/
  ],
  [
    'a network with other layers',
    network({ layers: [linear(4), { type: 'relu' }, linear(3)] }),
    /tensor 3 is classifier.2.weight F32 \[2,4\], expected classifier.2.weight F32 \[3,4\]/
  ],
  [
    'a network that does not fit together',
    network({
      layers: [{ type: 'conv2d', channels: 4, kernel: 2, stride: 1, padding: 0, bias: true }, linear(2)]
    }),
    /network.layers\[0\].kernel/
  ],
  ['a layer of no size', network({ layers: [linear(0), linear(2)] }), /network.layers\[0\].outputs/],
  ['a layer of a broken size', network({ layers: [linear(4.5), linear(2)] }), /network.layers\[0\].outputs/],
  ['a layer of negative size', network({ layers: [linear(-4), linear(2)] }), /network.layers\[0\].outputs/],
  ['a layer too large', network({ layers: [linear(2 ** 31), linear(2)] }), /network.layers\[0\].outputs/],
  [
    'layers whose weights cannot be counted',
    network({ layers: [linear(2 ** 24), linear(2 ** 24), linear(2)] }),
    /network.layers: makes a network of .* weights/
  ],
  ['an unknown layer', network({ layers: [{ type: 'attention' }, linear(2)] }), /network.layers\[0\].type/],
  ['a layer of the prototype', network({ layers: [{ type: 'constructor' }, linear(2)] }), /network.layers\[0\].type/],
  ['a layer that is null', network({ layers: [null, linear(2)] }), /network.layers\[0\]/],
  [
    'a second level without outputs',
    network({ layers: [linear(2)], children: [{ type: 'relu' }] }),
    /network.children.layers: must end in a layer that has an output/
  ],
  [
    'more networks of the second level than can be',
    network({ layers: [linear(60_000)], children: Array(512).fill(linear(60_000)) }),
    /network.children: makes 30720000 layers in 60000 networks/
  ],
  ['a second level that has no numbers', network({ children: [linear(2)] }), /expected classifier.children.0.0.weight/],
  ['more layers than can be', network({ layers: Array(600).fill(linear(3)) }), /network.layers: must be an array of/]
]

for (const [what, edit, message] of hostile) {
  test(`a hostile header: ${what}`, async (t) => {
    const good = await bytesOf(small, `${what}.nlsh`)
    const path = folder.write(`${what}.nlsh`, withHeader(good, edit))
    await t.throwsAsync(readIndexFile(path), { instanceOf: FileError, message })
  })
}

test('a header changed for the better is accepted, so the tests above test what they say', async (t) => {
  const good = await bytesOf(small, 'edited.nlsh')
  const path = folder.write('edited.nlsh', withHeader(good, metadata({ metric: 'cosine' })))
  t.is((await readIndexFile(path)).state.metric, 'cosine')
})

test('a hostile length of the header allocates nothing', async (t) => {
  const good = await bytesOf(small, 'length.nlsh')
  for (const length of [0n, 1n, 7n, BigInt(good.length - 7), 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    const changed = Buffer.from(good)
    changed.writeBigUInt64LE(length)
    await t.throwsAsync(readIndexFile(folder.write('length.nlsh', changed)), { instanceOf: FileError }, `${length}`)
  }
  const padded = Buffer.alloc(6 << 20, ' ')
  good.copy(padded)
  padded.writeBigUInt64LE(BigInt(5 << 20))
  await t.throwsAsync(readIndexFile(folder.write('length.nlsh', padded)), {
    instanceOf: FileError,
    message: /its header should take/
  })
})

test('words whose offsets are wrong, checksums right', async (t) => {
  const bytes = await bytesOf(small, 'words.nlsh')
  const headerBytes = 8 + Number(bytes.readBigUInt64LE())
  const { 'words.offsets': offsets, 'words.bytes': text } = JSON.parse(bytes.toString('utf8', 8, headerBytes))
  const edited = (tensorName: string, at: number, value: number): Buffer => {
    const data = Buffer.from(bytes)
    data[headerBytes + at] = value
    const { data_offsets } = tensorName === 'words.bytes' ? text : offsets
    const checksum = crc32(data.subarray(headerBytes + data_offsets[0], headerBytes + data_offsets[1]))
      .toString(16)
      .padStart(8, '0')
    return withHeader(
      data,
      json((header) => {
        header.__metadata__.checksums = JSON.stringify({
          ...JSON.parse(header.__metadata__.checksums ?? ''),
          [tensorName]: checksum
        })
      })
    )
  }
  const [first] = offsets.data_offsets
  const cases: [Buffer, RegExp][] = [
    [edited('words.offsets', first, 1), /offsets that do not span/],
    [edited('words.offsets', first + 20, 14), /offsets that do not span/],
    [edited('words.offsets', first + 4, 10), /word 1 is bytes 10 to 6 of 15/],
    [edited('words.offsets', first + 7, 0xff), /word 0 is bytes 0 to -/],
    [edited('words.offsets', first + 5, 1), /word 0 is bytes 0 to 257 of 15/],
    [edited('words.bytes', text.data_offsets[0], 0xff), /word 0 is not UTF-8/]
  ]
  for (const [changed, message] of cases)
    await t.throwsAsync(readIndexFile(folder.write('words.nlsh', changed)), { instanceOf: FileError, message })
})

test('what is not an index', async (t) => {
  await t.throwsAsync(readIndexFile(folder.path('missing.nlsh')), {
    instanceOf: FileError,
    message: /missing.nlsh: no such file/
  })
  mkdirSync(folder.path('folder.nlsh'))
  await t.throwsAsync(readIndexFile(folder.path('folder.nlsh')), { instanceOf: FileError, message: /is a folder/ })
  await t.throwsAsync(readIndexFile(folder.write('empty.nlsh', '')), { instanceOf: FileError, message: /is empty/ })
  await t.throwsAsync(readIndexFile(folder.write('text.nlsh', 'hello world\n'.repeat(100))), {
    instanceOf: FileError,
    message: /is not an index/
  })
  const foreign = Buffer.from(
    '        {"__metadata__":{"format":"pt"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  !'
  )
  foreign.writeBigUInt64LE(BigInt(foreign.length - 9))
  await t.throwsAsync(readIndexFile(folder.write('foreign.nlsh', foreign)), {
    instanceOf: FileError,
    message: /not an index that neural-lsh wrote/
  })
})

test('sizes that do not belong together are not written', async (t) => {
  const { state } = small
  const { input } = state.classifier
  const withClassifier = (edit: Partial<Classifier>): IndexContents => ({
    ...small,
    state: { ...state, classifier: { ...state.classifier, ...edit } }
  })
  const wrong: [IndexContents, string][] = [
    [{ ...small, words: ['a'] }, 'words'],
    [{ ...small, words: ['a', 'b', '\ud800', 'd', 'e'] }, 'words[2]'],
    [{ ...small, state: { ...state, vectors: new Float32Array(14) } }, 'vectors'],
    [{ ...small, state: { ...state, dimensions: 4 } }, 'classifier.network.inputShape'],
    [{ ...small, state: { ...state, bins: { ...state.bins, offsets: new Int32Array(2) } } }, 'bins.offsets'],
    [withClassifier({ parameters: new Float32Array(27) }), 'classifier.parameters'],
    [withClassifier({ buffers: new Float32Array(1) }), 'classifier.buffers'],
    [withClassifier({ input: { ...input, mean: new Float32Array(2) } }), 'classifier.input.mean'],
    [withClassifier({ input: { ...input, scale: new Float32Array(1) } }), 'classifier.input.scale'],
    [{ ...small, description: { text: 'x'.repeat(5 << 20) } }, 'description']
  ]
  for (const [contents, argument] of wrong) {
    const error = await t.throwsAsync(writeIndexFile(folder.path('wrong.nlsh'), contents), {
      instanceOf: ArgumentError
    })
    t.is(error?.argument, argument)
  }
})

test('a failed or stopped writing leaves the old index and nothing else; reading stops too', async (t) => {
  const inner = temporaryFolder()
  t.teardown(() => inner.remove())
  const path = inner.path('index.nlsh')
  await writeIndexFile(path, small)
  const old = readFileSync(path)
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await t.throwsAsync(writeIndexFile(path, small, { signal }), { is: reason })
  await t.throwsAsync(readIndexFile(path, { signal }), { is: reason })
  const controller = new AbortController()
  const writing = writeIndexFile(path, sampleIndex({ rows: 100_000, network: denseNetwork(64, 2) }), {
    signal: controller.signal
  })
  for (let i = 0; i < 500 && readdirSync(inner.path('')).length < 2; i++) await setImmediate()
  controller.abort(reason)
  await t.throwsAsync(writing, { is: reason })
  t.deepEqual(readdirSync(inner.path('')), ['index.nlsh'])
  t.true(readFileSync(path).equals(old))
  await t.throwsAsync(writeIndexFile(inner.path('none/index.nlsh'), small), {
    instanceOf: FileError,
    message: /no such file or folder/
  })
  mkdirSync(inner.path('folder'))
  writeFileSync(inner.path('folder/file'), '')
  await t.throwsAsync(writeIndexFile(inner.path('folder'), small), { instanceOf: FileError })
  t.deepEqual(readdirSync(inner.path('')).sort(), ['folder', 'index.nlsh'])
})
