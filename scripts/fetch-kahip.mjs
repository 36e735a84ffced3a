// Gets KaHIP's sources into third_party/kahip: the pinned source package `kahip` of the Python package index, by pip.
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { runPip } from './pip.mjs'

const version = '3.25'
const sha256 = '610fdce247c374b32986378c592df122a88e46efdd97b113ceca8993c51e1b2a'

/** What its static library needs; the CMakeLists names all of app even where only the library is built. */
const needed = [
  'CMakeLists.txt',
  'LICENSE',
  'app',
  'cmake',
  'extern/argtable3-3.2.2/LICENSE',
  'extern/argtable3-3.2.2/argtable3.c',
  'extern/argtable3-3.2.2/argtable3.h',
  'interface',
  'lib',
  'misc/example_library_call',
  'misc/omp.h'
]

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const folder = path.join(root, 'third_party', 'kahip')
const stamp = path.join(folder, 'version.txt')
const stampText = `kahip ${version} sha256 ${sha256}\n`

/**
 * The folder with KaHIP's sources: the one that NEURAL_LSH_KAHIP names, else third_party/kahip, fetched when it is
 * not there yet. Throws an Error of one line.
 */
export function ensureKahip() {
  const given = process.env.NEURAL_LSH_KAHIP
  if (given) return checkGiven(path.resolve(given))
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== stampText) fetchKahip()
  return folder
}

function checkGiven(given) {
  if (existsSync(path.join(given, 'interface', 'kaHIP_interface.h'))) return given
  throw new Error(`NEURAL_LSH_KAHIP: ${given} is not a folder with KaHIP's sources (interface/kaHIP_interface.h)`)
}

function fetchKahip() {
  const download = mkdtempSync(path.join(tmpdir(), 'neural-lsh-kahip-'))
  const unpacked = `${folder}.${process.pid}`
  try {
    // Never a wheel, which holds no sources.
    runPip(['download', '--no-binary', 'kahip', '--dest', download], [['kahip', version, sha256]])
    mkdirSync(unpacked, { recursive: true })
    const top = `kahip-${version}`
    const members = needed.map((name) => `${top}/${name}`)
    const archive = path.join(download, `${top}.tar.gz`)
    execFileSync('tar', ['-xzf', archive, '-C', unpacked, '--strip-components=1', ...members])
    writeFileSync(path.join(unpacked, path.basename(stamp)), stampText)
    rmSync(folder, { recursive: true, force: true })
    renameSync(unpacked, folder)
  } catch (error) {
    throw new Error(
      `KaHIP ${version} could not be fetched with pip (${error.message}): install pip and go online, or set NEURAL_LSH_KAHIP to a folder with its sources`,
      { cause: error }
    )
  } finally {
    rmSync(download, { recursive: true, force: true })
    rmSync(unpacked, { recursive: true, force: true })
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    console.log(`KaHIP: ${ensureKahip()}`)
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
