/** Packages packed and installed into empty folders, without a network. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const repository = fileURLToPath(new URL('../..', import.meta.url))

/** Gone when the tests have ended. */
export const scratch = mkdtempSync(join(realpathSync(tmpdir()), 'neural-lsh-package-'))
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))

/** Without what npm tells the scripts that it runs, which npm would take for its own configuration. */
export function environment(PATH = process.env.PATH ?? ''): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(npm_|NEURAL_LSH_)/i.test(name))
  return { ...Object.fromEntries(kept), PATH }
}

export async function pack(folder: string): Promise<string> {
  const args = ['pack', folder, '--ignore-scripts', '--json', '--pack-destination', scratch]
  const { stdout } = await run('npm', args, { env: environment(), cwd: scratch })
  const [packed] = JSON.parse(stdout)
  return join(scratch, packed.filename)
}

/** What the archive of a package holds. */
export async function contentsOf(archive: string): Promise<string[]> {
  const { stdout } = await run('tar', ['-tzf', archive])
  return stdout
    .trim()
    .split('\n')
    .map((name) => name.replace('package/', ''))
    .sort()
}

/** Installs archives and the dependencies of this package into a new folder; returns that folder and what npm printed. */
export async function install(name: string, archives: string[], PATH: string, ...options: string[]) {
  const folder = join(scratch, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const args = ['install', ...archives, ...(await dependencies()), '--offline', '--foreground-scripts', ...options]
  const { stdout, stderr } = await run('npm', args, { cwd: folder, env: environment(PATH), maxBuffer: 1 << 26 })
  return { folder, output: stdout + stderr, package: join(folder, 'node_modules', 'neural-lsh') }
}

let packedDependencies: Promise<string[]> | undefined
function dependencies(): Promise<string[]> {
  const ofCharts = ['chart.js', '@kurkle/color']
  const names = ['node-addon-api', 'node-api-headers', 'node-gyp-build', '@saehrimnir/druidjs', ...ofCharts]
  packedDependencies ??= Promise.all(names.map((name) => pack(join(repository, 'node_modules', name))))
  return packedDependencies
}
