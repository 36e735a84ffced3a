#!/usr/bin/env node
/**
 * Gets the indexes that `npm run bench:peers` compares with into ignored folders, pinned: the Node packages into
 * .cache/peers/node, faiss (and matplotlib for the charts) into .venv, hnswlib's header files from its source package
 * of the Python index, around which bench/peers/hnswlib.cpp is compiled for this CPU.
 *
 *     node scripts/peers-env.mjs
 *
 * What is installed already stays.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** hnswlib-node is compiled when it is installed, usearch brings its own binaries; the others are what these two need. */
const nodePackages = {
  'hnswlib-node': '3.0.0',
  usearch: '2.26.2',
  bindings: '1.5.0',
  'file-uri-to-path': '1.0.0',
  'node-addon-api': '8.9.2',
  'node-gyp-build': '4.8.4'
}
const pythonPackages = { 'faiss-cpu': '1.15.1', matplotlib: '3.11.2' }
const hnswlib = {
  version: '0.8.0',
  sha256: 'cb6d037eedebb34a7134e7dc78966441dfd04c9cf5ee93911be911ced951c44c'
}
const compilerFlags = ['-std=c++17', '-O3', '-march=native', '-DNDEBUG']

export const versions = { ...nodePackages, ...pythonPackages, hnswlib: hnswlib.version }
export const cacheFolder = fileURLToPath(new URL('../.cache/peers', import.meta.url))

/** { python, hnswlib: path of the program, node: folder to resolve the Node packages from } */
export function ensurePeers() {
  mkdirSync(cacheFolder, { recursive: true })
  const python = ensurePython()
  return { python, hnswlib: compileHnswlib(ensureHeaders(python)), node: ensureNodePackages() }
}

function ensurePython() {
  const script = fileURLToPath(new URL('python-env.mjs', import.meta.url))
  const wanted = Object.entries(pythonPackages).map(([name, version]) => `${name}==${version}`)
  return execFileSync(process.execPath, [script, ...wanted], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1)
}

function ensureNodePackages() {
  const folder = join(cacheFolder, 'node')
  const stamp = join(folder, 'installed.json')
  const contents = JSON.stringify({ private: true, dependencies: nodePackages }, null, 2)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === contents) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), contents)
  const options = { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' }
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], options)
  writeFileSync(stamp, contents)
  return folder
}

/** pip checks the hash; it wants to prepare the package before it hands out its source, for which it needs a minute. */
function ensureHeaders(python) {
  const folder = join(cacheFolder, `hnswlib-${hnswlib.version}`)
  if (existsSync(folder)) return folder
  const download = join(cacheFolder, `download-${process.pid}`)
  try {
    mkdirSync(download)
    const requirements = join(download, 'requirements.txt')
    writeFileSync(requirements, `hnswlib==${hnswlib.version} --hash=sha256:${hnswlib.sha256}\n`)
    const options = ['--no-binary', 'hnswlib', '--no-deps', '--require-hashes', '--dest', download, '-r', requirements]
    const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', ...options]
    execFileSync(python, pip, { stdio: ['ignore', 'inherit', 'inherit'] })
    const archive = join(download, `hnswlib-${hnswlib.version}.tar.gz`)
    execFileSync('tar', ['-xzf', archive, '--no-same-owner', '-C', download])
    renameSync(join(download, `hnswlib-${hnswlib.version}`), folder)
  } finally {
    rmSync(download, { recursive: true, force: true })
  }
  return folder
}

function compileHnswlib(headers) {
  const source = fileURLToPath(new URL('../bench/peers/hnswlib.cpp', import.meta.url))
  const recipe = `${hnswlib.version} ${compilerFlags} ${readFileSync(source, 'utf8')}`
  const program = join(cacheFolder, `hnswlib-${createHash('sha256').update(recipe).digest('hex').slice(0, 12)}`)
  if (existsSync(program)) return program
  const unfinished = `${program}.${process.pid}`
  const compiler = process.env.CXX ?? 'g++'
  execFileSync(compiler, [...compilerFlags, '-I', headers, source, '-o', unfinished], { stdio: 'inherit' })
  renameSync(unfinished, program)
  return program
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(ensurePeers(), null, 2))
