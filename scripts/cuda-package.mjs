#!/usr/bin/env node
/**
 * Makes the npm package neural-lsh-cuda, the CUDA engine's library for Linux on x86-64, of the same version as neural-lsh,
 * which finds it where Node finds packages:  npm run pack:cuda
 *
 *     node scripts/cuda-package.mjs [library, default build/Release/neural_lsh_cuda.so] [folder of the archive, default build]
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const libraryName = 'neural_lsh_cuda.so'
const [library, folder] = [
  path.resolve(process.argv[2] ?? path.join(root, 'build', 'Release', libraryName)),
  path.resolve(process.argv[3] ?? path.join(root, 'build'))
]

const { version, license } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const manifest = {
  name: 'neural-lsh-cuda',
  version,
  description: 'The library of the engine cuda of neural-lsh, for NVIDIA GPUs',
  license,
  os: ['linux'],
  cpu: ['x64'],
  libc: ['glibc'],
  files: [libraryName],
  exports: { './package.json': './package.json' },
  peerDependencies: { 'neural-lsh': version }
}

if (!existsSync(library)) throw new Error(`there is no ${library}: run npm run build:cuda`)
const scratch = mkdtempSync(path.join(tmpdir(), 'neural-lsh-cuda-'))
try {
  copyFileSync(library, path.join(scratch, libraryName))
  execFileSync('strip', ['--strip-unneeded', path.join(scratch, libraryName)])
  copyFileSync(path.join(root, 'native', 'cuda', 'README.md'), path.join(scratch, 'README.md'))
  copyFileSync(path.join(root, 'LICENSE'), path.join(scratch, 'LICENSE'))
  writeFileSync(path.join(scratch, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  mkdirSync(folder, { recursive: true })
  execFileSync('npm', ['pack', '--pack-destination', folder], { cwd: scratch, stdio: ['ignore', 'ignore', 'inherit'] })
  console.log(path.join(folder, `${manifest.name}-${version}.tgz`))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
