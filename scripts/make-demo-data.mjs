#!/usr/bin/env node
/**
 * Writes demo/words.txt.gz: the most frequent English words of GloVe with their vectors, as GloVe writes them, rounded
 * to three decimals. The same Node gives the same bytes.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { readWinkEmbeddings } from './wink-embeddings.mjs'

const wordCount = 12_000
const target = fileURLToPath(new URL('../demo/words.txt.gz', import.meta.url))
const operatingSystemByte = 9

/** Letters only, at least three, with a vowel and no letter thrice in a row: what else there is are numbers, marks and abbreviations. */
function isWord(text) {
  return /^[a-z]{3,}$/.test(text) && /[aeiouy]/.test(text) && !/(.)\1\1/.test(text)
}

const scratch = mkdtempSync(join(tmpdir(), 'neural-lsh-demo-'))
try {
  const { words, vectors, dimensions } = readWinkEmbeddings(scratch)
  const lines = []
  for (const [i, word] of words.entries()) {
    if (lines.length === wordCount) break
    if (!isWord(word)) continue
    const numbers = Array.from(vectors.subarray(i * dimensions, (i + 1) * dimensions), (value) =>
      String(Math.round(value * 1000) / 1000)
    )
    lines.push(`${word} ${numbers.join(' ')}\n`)
  }
  const packed = gzipSync(lines.join(''), { level: 9 })
  packed[operatingSystemByte] = 255 // unknown: Node writes the machine's
  writeFileSync(target, packed)
  console.log(`${target}: ${lines.length} words, ${packed.length} bytes`)
} finally {
  rmSync(scratch, { recursive: true })
}
