/**
 * How many GFLOP/s this machine's matrix product reaches at best, on one thread and on all of them: builds and runs
 * machine.cpp beside the addon, whose build folder must be there (npm run build:native).
 *
 *     node bench/machine.mjs
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const target = 'neural_lsh_machine'
const build = (path) => fileURLToPath(new URL(`../build/${path}`, import.meta.url))

/** { kernels: 'avx512', peakGflops: [{ threads: 1, gflops: 110 }, ...] } */
export function machinePeak() {
  const folder = ['cmake', 'cmake-plain'].map(build).find((path) => existsSync(join(path, 'CMakeCache.txt')))
  if (folder === undefined) throw new Error('the addon is not built: run npm run build:native')
  execFileSync('cmake', ['--build', folder, '--config', 'Release', '--target', target], { stdio: 'ignore' })
  return JSON.parse(execFileSync(build(join('Release', target)), { encoding: 'utf8' }))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(machinePeak()))
