/**
 * What this machine can do at best, on one thread and on all of them: GFLOP/s of the matrix product, operations of the
 * products of bytes, and how fast vectors are read from memory and from the L2 cache. Builds and runs machine.cpp beside
 * the addon, whose build folder must be there (npm run build:native).
 *
 *     node bench/machine.mjs
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const build = (path) => fileURLToPath(new URL(`../build/${path}`, import.meta.url))

/** Builds one of the programs of this folder and returns where it lies. */
export function benchProgram(target) {
  const folder = ['cmake', 'cmake-plain'].map(build).find((path) => existsSync(join(path, 'CMakeCache.txt')))
  if (folder === undefined) throw new Error('the addon is not built: run npm run build:native')
  execFileSync('cmake', ['--build', folder, '--config', 'Release', '--target', target], { stdio: 'ignore' })
  return build(join('Release', target))
}

/**
 * { kernels: 'avx512', byteKernels: 'vnni', peakGflops: [{ threads: 1, gflops: 110 }, ...],
 *   peakByteGops: [{ threads, gops }], memoryGBs: [{ threads, gbs }], l2GBs: [{ threads, gbs }] }
 */
export function machine() {
  return JSON.parse(execFileSync(benchProgram('neural_lsh_machine'), { encoding: 'utf8' }))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(machine()))
