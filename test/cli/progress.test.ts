import test from 'ava'
import { showProgress } from '../../lib/cli/progress.js'
import { formatBytes, formatCount, formatSeconds, table, wrap } from '../../lib/cli/text.js'

/** Stands for a terminal or a pipe and remembers what was written. */
function fakeStream(isTTY: boolean) {
  const written: string[] = []
  const stream = { isTTY, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream
  return { stream, written }
}

async function play(isTTY: boolean) {
  const { stream, written } = fakeStream(isTTY)
  const finished: string[] = []
  const { onProgress, follow } = showProgress(stream, (stage, seconds) => finished.push(`${stage} ${seconds >= 0}`))
  onProgress({ stage: 'partition', done: 0, total: 4 })
  onProgress({ stage: 'partition', done: 4, total: 4 })
  onProgress({ stage: 'classifier', done: 5, total: 10 })
  await follow(Promise.resolve())
  return { written: written.join(''), finished }
}

test('a terminal sees a bar for the running stage, erased at the end', async (t) => {
  const { written, finished } = await play(true)
  t.regex(written, /partition +░{30} +0 %/)
  t.regex(written, /classifier +█{15}░{15} +50 %/)
  t.true(written.endsWith('\r\x1b[K'))
  t.deepEqual(finished, ['partition true', 'classifier true'])
})

test('a pipe sees no control characters, each stage once', async (t) => {
  const { written, finished } = await play(false)
  t.is(written, '')
  t.deepEqual(finished, ['partition true', 'classifier true'])
})

test('a stage that fails is not called finished', async (t) => {
  const { stream, written } = fakeStream(true)
  const { onProgress, follow } = showProgress(stream, () => t.fail())
  onProgress({ stage: 'partition', done: 1, total: 4 })
  await t.throwsAsync(follow(Promise.reject(new Error('no'))), { message: 'no' })
  t.is(written.at(-1), '\r\x1b[K')
})

test('numbers are written for people', (t) => {
  t.is(formatCount(1234567.4), '1,234,567')
  t.is(formatSeconds(0.0042), '4.2 ms')
  t.is(formatSeconds(0.25), '250 ms')
  t.is(formatSeconds(2.345), '2.3 s')
  t.is(formatSeconds(119.7), '2 min 0 s')
  t.is(formatBytes(0), '0 B')
  t.is(formatBytes(1234), '1.2 kB')
  t.is(formatBytes(999_999_999), '1.0 GB')
  t.is(formatBytes(523_000_000), '523 MB')
})

test('tables and paragraphs keep to their columns', (t) => {
  t.is(
    table(
      ['a', 'number'],
      [
        ['long', '1'],
        ['b', '22']
      ]
    ),
    '  a     number\n  long       1\n  b         22'
  )
  t.is(wrap('one two three', 7, '  '), 'one two\n  three')
})
