// Gets what the CUDA library is built with and this machine lacks into third_party/cuda, by pip at pinned versions:
// NVIDIA's Python packages with cuBLAS and cuDNN and, where there is no nvcc of CUDA 13, with the compiler.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runPip } from './pip.mjs'

/** By the part that native/cuda/find-cuda.cmake looks for. The packages are those of Linux on x86-64. */
const packages = {
  nvcc: [
    ['nvidia-cuda-nvcc', '13.0.88', '56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03'],
    ['nvidia-nvvm', '13.0.88', 'c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0'],
    ['nvidia-cuda-crt', '13.0.88', '2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4'],
    ['nvidia-cuda-runtime', '13.0.88', '422a38f7c739ecbdd3a4b6ec7ed0a1d74db43d8e9bc26685f3d845638922b178'],
    ['nvidia-cuda-cccl', '13.0.85', 'e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649']
  ],
  cublas: [['nvidia-cublas', '13.0.2.14', '0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c']],
  cudnn: [['nvidia-cudnn-cu13', '9.13.0.50', '2150b4850725d30653ec3e365f0732e3e2e3eb8633cf3bd2d3117628dea8b4f9']]
}

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const folder = path.join(root, 'third_party', 'cuda')

/** Fetches the parts that CMake does not find, if any. Throws an Error of one line. */
export function ensureCuda() {
  if (process.platform !== 'linux') throw new Error('the CUDA library is for Linux only')
  const missing = missingParts()
  if (missing.length > 0) fetchParts(missing)
}

/** What CMake would say: the same file looks for the parts when the library is built. */
function missingParts() {
  const finder = path.join(root, 'native', 'cuda', 'find-cuda.cmake')
  const output = execFileSync('cmake', ['-P', finder], { encoding: 'utf8' })
  const [, missing = ''] = /missing: (.*)/.exec(output) ?? []
  return missing.split(';').filter(Boolean)
}

function fetchParts(parts) {
  const wanted = parts.flatMap((part) => packages[part])
  const unpacked = `${folder}.${process.pid}`
  console.log(`neural-lsh: fetching ${parts.join(', ')} of CUDA into ${folder}`)
  mkdirSync(path.dirname(folder), { recursive: true })
  try {
    // All at once: into a folder that has some of them already pip would install nothing, or replace what is there.
    runPip(['install', '--only-binary', ':all:', '--target', unpacked], wanted)
    if (existsSync(folder)) cpSync(unpacked, folder, { recursive: true })
    else renameSync(unpacked, folder)
    linkLibraries()
  } catch (error) {
    const names = wanted.map(([name, version]) => `${name}==${version}`).join(', ')
    throw new Error(
      `CUDA's ${parts.join(', ')} cannot be had (${error.message}): install the CUDA toolkit 13 with cuBLAS and cuDNN 9, or go online, where pip gets ${names}`,
      { cause: error }
    )
  } finally {
    rmSync(unpacked, { recursive: true, force: true })
  }
}

/** nvcc looks for its libraries where a toolkit has them. */
function linkLibraries() {
  const toolkit = path.join(folder, 'nvidia', 'cu13')
  const link = path.join(toolkit, 'lib64')
  if (existsSync(path.join(toolkit, 'bin', 'nvcc')) && !existsSync(link)) symlinkSync('lib', link)
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    ensureCuda()
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
