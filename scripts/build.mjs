// Builds build/Release/neural_lsh.node (or build/Debug with the argument Debug): with cmake-js in a checkout, with
// plain cmake where only the run-time dependencies are installed. The two keep folders of their own because they may
// choose different generators. With --cuda also neural_lsh_cuda.so beside it, then and whenever it
// is run again.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureCuda } from './fetch-cuda.mjs'
import { ensureKahip } from './fetch-kahip.mjs'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const configuration = process.argv.includes('Debug') ? 'Debug' : 'Release'
const cuda = process.argv.includes('--cuda')
const threads = String(os.availableParallelism())

function run(program, ...args) {
  const { status } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) throw new Error(`${[path.basename(program), ...args].join(' ')} failed`)
}

function requireCmake() {
  if (spawnSync('cmake', ['--version'], { stdio: 'ignore' }).error) throw new Error('cmake was not found')
}

function findCmakeJs() {
  try {
    return createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  } catch {
    return undefined
  }
}

function build(kahip) {
  const variables = [`KAHIP_SOURCE_DIR=${kahip}`, ...(cuda ? ['NEURAL_LSH_CUDA=ON'] : [])]
  const cmakeJs = findCmakeJs()
  if (cmakeJs) {
    const options = ['--out', 'build/cmake', '--config', configuration, '--log-level', 'warn']
    run(process.execPath, cmakeJs, 'configure', ...options, ...variables.map((variable) => `--CD${variable}`))
    run(process.execPath, cmakeJs, 'build', ...options, '--parallel', threads)
  } else {
    const folder = 'build/cmake-plain'
    const definitions = [`CMAKE_BUILD_TYPE=${configuration}`, ...variables].map((variable) => `-D${variable}`)
    run('cmake', '-S', '.', '-B', folder, ...definitions)
    run('cmake', '--build', folder, '--config', configuration, '--parallel', threads)
  }
}

try {
  requireCmake()
  if (cuda) ensureCuda()
  build(ensureKahip())
} catch (error) {
  console.error(`neural-lsh: ${error.message}`)
  process.exitCode = 1
}
