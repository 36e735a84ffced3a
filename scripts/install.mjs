// npm's install script. A binary that loads is all it wants; without one it builds one; and where that fails, too, it
// says so in one line and lets the installation succeed: the first call of the native engine says how to cure it.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const logFile = path.join(root, 'build', 'install.log')

/** In a process of its own: a binary for another system may crash instead of failing to load. */
function loads() {
  const load = "require('node-gyp-build')(process.cwd())"
  return spawnSync(process.execPath, ['-e', load], { cwd: root, stdio: 'ignore' }).status === 0
}

function build() {
  mkdirSync(path.dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'w')
  spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: ['ignore', log, log] })
  closeSync(log)
}

function whyNot() {
  const log = readFileSync(logFile, 'utf8')
  if (/No CMAKE_\w+_COMPILER could be found/.test(log)) return 'no C++ compiler was found'
  if (log.includes('unable to find a build program')) return 'neither make nor ninja was found'
  const ours = log.split('\n').filter((line) => line.startsWith('neural-lsh: '))
  return ours.at(-1)?.replace('neural-lsh: ', '') ?? 'the binary that was built does not load'
}

if (!loads()) {
  console.log('neural-lsh: no prebuilt binary fits; building one, which takes a minute or two')
  build()
  if (!loads()) {
    console.warn(
      `neural-lsh: installed without the native engine: ${whyNot()}. With CMake 3.19 or newer, a C++20 compiler and make or ninja there, run "npm rebuild neural-lsh" (log: ${logFile})`
    )
  }
}
