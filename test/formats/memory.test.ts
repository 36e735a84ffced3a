import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGzip } from 'node:zlib'
import test from 'ava'
import { encodeVecs } from './encode.js'
import { temporaryFolder } from './temporary-folder.js'

const folder = temporaryFolder()
test.after.always(() => folder.remove())

const rows = 160_000
const dimensions = 100
const resultBytes = 4 * rows * dimensions
const megabyte = 2 ** 20

/** Reads a file in a process of its own; returns by how many bytes the peak of its memory grew. */
async function peakOfReading(path: string): Promise<{ rows: number; growth: number }> {
  const program = `
    import { readVectors } from './lib/formats/read.ts'
    import { createGunzip } from 'node:zlib'
    const before = process.resourceUsage().maxRSS
    const { rows } = await readVectors(${JSON.stringify(path)})
    console.log(JSON.stringify({ rows, growth: 1024 * (process.resourceUsage().maxRSS - before) }))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', '--input-type=module', '-e', program])
  return JSON.parse(stdout)
}

async function writePacked(name: string, block: Buffer, times: number): Promise<string> {
  const gzip = createGzip({ level: 1 })
  const file = gzip.pipe(createWriteStream(folder.path(name)))
  for (let i = 0; i < times; i++) if (!gzip.write(block)) await new Promise((resolve) => gzip.once('drain', resolve))
  gzip.end()
  await finished(file)
  return folder.path(name)
}

test('memory stays near the size of the result, which alone takes 61 MB', async (t) => {
  const numbers = Array.from({ length: dimensions }, (_, i) => Math.fround(Math.sin(i)))
  const text = Buffer.from(`word ${numbers.join(' ')}\n`.repeat(1000))
  const files = [
    await writePacked('a.fvecs.gz', encodeVecs('f4', Array(1000).fill(numbers)), rows / 1000),
    await writePacked('a.txt.gz', text, rows / 1000)
  ]
  // The text is five times as large as the result, so that a whole copy of it would show.
  t.true((text.length * rows) / 1000 > 4 * resultBytes)
  for (const path of files) {
    const { rows: read, growth } = await peakOfReading(path)
    t.is(read, rows)
    t.log(`${path}: ${Math.round(growth / megabyte)} MB`)
    t.true(growth > 0.9 * resultBytes && growth < resultBytes + 90 * megabyte, `${growth}`)
  }
})
