// Pinned packages of the Python package index, by pip, which checks the hashes and refuses anything else.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/**
 * `pip <args>` for packages [name, version, sha256] and none that they depend on. Throws an Error whose message is
 * the cause in one line.
 */
export function runPip(args, packages) {
  const folder = mkdtempSync(path.join(tmpdir(), 'neural-lsh-pip-'))
  const requirements = path.join(folder, 'requirements.txt')
  const lines = packages.map(([name, version, sha256]) => `${name}==${version} --hash=sha256:${sha256}\n`)
  writeFileSync(requirements, lines.join(''))
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes']
  try {
    execFileSync(...findPip([...args, ...quiet, '-r', requirements]), { stdio: 'pipe' })
  } catch (error) {
    throw new Error(reasonOf(error), { cause: error })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** [program, arguments] of the first pip that answers. */
function findPip(args) {
  const candidates = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']]
  for (const [program, ...first] of candidates) {
    try {
      execFileSync(program, [...first, '--version'], { stdio: 'ignore' })
      return [program, [...first, ...args]]
    } catch {}
  }
  throw new Error('no pip was found')
}

/** pip's last line that says ERROR, else the message. */
function reasonOf(error) {
  const errors = (error.stderr?.toString() ?? '').split('\n').filter((line) => line.includes('ERROR: '))
  return (errors.at(-1) ?? error.message).trim().split('\n')[0]
}
