import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryFolder {
  path: (name: string) => string
  /** Writes a file and returns its path. */
  write: (name: string, bytes: Uint8Array | string) => string
  remove: () => void
}

export function temporaryFolder(): TemporaryFolder {
  const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-formats-'))
  const path = (name: string): string => join(folder, name)
  return {
    path,
    write: (name, bytes) => {
      writeFileSync(path(name), bytes)
      return path(name)
    },
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}
