/** Where the CUDA engine's library lies, and where cuBLAS and cuDNN may be that the system does not find. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { EngineError } from '../errors.js'
import { packageVersion } from '../version.js'
import { packageFolder } from './native.js'

const library = 'neural_lsh_cuda.so'
/** What scripts/cuda-package.mjs makes, and is installed beside this package. */
const cudaPackage = 'neural-lsh-cuda'

/** Throws EngineError where the package of the library is installed, but is of another version. */
export function cudaPlaces(): { libraries: string[]; folders: string[] } {
  const libraries = candidates()
  return { libraries, folders: [...libraries.map((file) => dirname(file)), ...folders()] }
}

/** The folder that the environment names, and no other; else what was built here, else the package. */
function candidates(): string[] {
  const given = process.env.NEURAL_LSH_CUDA_LIBRARY
  if (given) return [join(given, library)]
  const built = join(packageFolder(), 'build', 'Release', library)
  return existsSync(built) ? [built] : [built, ...installed()]
}

function installed(): string[] {
  let manifest: string
  try {
    manifest = createRequire(import.meta.url).resolve(`${cudaPackage}/package.json`)
  } catch {
    return []
  }
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const needed = packageVersion()
  if (version === needed) return [join(dirname(manifest), library)]
  throw new EngineError(
    `the package ${cudaPackage} at ${dirname(manifest)} is of version ${version}, and neural-lsh ${needed} takes its own ` +
      `version only. Install that: npm install ${cudaPackage}@${needed}`
  )
}

/** What fetch-cuda.mjs fetched, NVIDIA's packages of a Python that is in use, a toolkit. */
function folders(): string[] {
  const toolkit = process.env.CUDA_PATH || '/usr/local/cuda'
  const packages = [join(packageFolder(), 'third_party', 'cuda'), ...pythonPackages()]
  return [
    ...packages.flatMap((folder) => ['cu13', 'cudnn'].map((part) => join(folder, 'nvidia', part, 'lib'))),
    join(toolkit, 'lib64')
  ]
}

function pythonPackages(): string[] {
  const { VIRTUAL_ENV, CONDA_PREFIX } = process.env
  return [VIRTUAL_ENV, CONDA_PREFIX]
    .map((environment) => join(environment || '', 'lib'))
    .filter((folder) => folder !== 'lib' && existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.startsWith('python3'))
        .map((name) => join(folder, name, 'site-packages'))
    )
}
