// The package of the CUDA engine's library as a user gets it: made, installed beside neural-lsh into an empty folder, found
// from there, and refused where its version differs.
import { execFile, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test from 'ava'
import { packageVersion } from '../../lib/version.js'
import { fakeCuda } from '../support/fake-cuda.js'
import { contentsOf, environment, install, pack, repository, scratch } from './packages.js'

const run = promisify(execFile)
const library = 'neural_lsh_cuda.so'
const isSupported = process.platform === 'linux' && process.arch === 'x64' ? test.serial : test.skip

async function makePackage(file: string, name: string): Promise<string> {
  const { stdout } = await run(process.execPath, ['scripts/cuda-package.mjs', file, join(scratch, name)], {
    cwd: repository,
    env: environment()
  })
  return stdout.trim()
}

/** Both packages in an empty folder, with the addon that was built here. */
async function installBoth(archive: string) {
  const archives = [await pack(repository), archive]
  const { folder, package: own } = await install('both', archives, process.env.PATH ?? '', '--ignore-scripts')
  mkdirSync(join(own, 'build', 'Release'), { recursive: true })
  const addon = ['build', 'Release', 'neural_lsh.node']
  copyFileSync(join(repository, ...addon), join(own, ...addon))
  return folder
}

/** What `neural-lsh info --engine cuda` says there. */
function info(folder: string, variables: Record<string, string> = {}) {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [join(folder, 'node_modules', '.bin', 'neural-lsh'), 'info', '--engine', 'cuda'],
    { cwd: folder, env: { ...environment(), ...variables }, encoding: 'utf8' }
  )
  return { status, said: stdout + stderr }
}

isSupported('the library is a package of its own, found beside neural-lsh, of its version only', async (t) => {
  t.timeout(180_000)
  const archive = await makePackage(join(fakeCuda(), library), 'fake')
  t.deepEqual(await contentsOf(archive), ['LICENSE', 'README.md', library, 'package.json'])
  const folder = await installBoth(archive)
  t.false(existsSync(join(folder, 'node_modules', 'neural-lsh', 'build', 'Release', library)))
  const found = info(folder)
  t.is(found.status, 0, found.said)
  t.regex(found.said, /cuda \(Fake GPU 0/)

  const installed = join(folder, 'node_modules', 'neural-lsh-cuda')
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  t.is(manifest.version, packageVersion())
  writeFileSync(join(installed, 'package.json'), JSON.stringify({ ...manifest, version: '9.8.7' }))
  const other = info(folder)
  t.is(other.status, 1)
  t.regex(other.said.replaceAll(/\s+/g, ' '), /is of version 9\.8\.7.*npm install neural-lsh-cuda@\d/)

  renameSync(installed, `${installed}-away`)
  const none = info(folder)
  t.is(none.status, 1)
  t.regex(none.said.replaceAll(/\s+/g, ' '), /there is no CUDA library.*Install the package neural-lsh-cuda/)

  // The library that was built, and the cuBLAS and cuDNN of a Python.
  const built = join(repository, 'build', 'Release', library)
  const packages = join(repository, 'third_party', 'cuda', 'nvidia')
  if (!existsSync(built) || !existsSync(packages)) return
  mkdirSync(installed)
  await run('tar', ['-xzf', await makePackage(built, 'built'), '--strip-components=1', '-C', installed])
  const site = join(scratch, 'environment', 'lib', 'python3.99', 'site-packages')
  mkdirSync(site, { recursive: true })
  symlinkSync(packages, join(site, 'nvidia'))
  const { said } = info(folder, { VIRTUAL_ENV: join(scratch, 'environment') })
  t.regex(said.replaceAll(/\s+/g, ' '), /cuda \(|no NVIDIA driver|driver is too old|finds no device/)
})

test('another version is refused by npm, too', (t) => {
  const { version, peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(join(repository, 'package.json'), 'utf8')
  )
  t.deepEqual(peerDependencies, { 'neural-lsh-cuda': version })
  t.deepEqual(peerDependenciesMeta, { 'neural-lsh-cuda': { optional: true } })
})
