import { randomUUID } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asFileError } from './file-error.js'

const chunkBytes = 1 << 20

/**
 * Writes a file whole or not at all: into a temporary file in the same folder, synced, then renamed. What was at
 * `path` stays until the new file is complete.
 * @throws FileError, or the signal's reason; the temporary file is removed then
 */
export async function replaceFile(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal | undefined
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  try {
    await writeSynced(temporary, chunks, signal)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw asFileError(path, error)
  }
}

async function writeSynced(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal | undefined
): Promise<void> {
  const file = await open(path, 'wx')
  try {
    for await (const chunk of chunks) await writeFully(file, chunk, signal)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function writeFully(file: FileHandle, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    signal?.throwIfAborted()
    written += (await file.write(bytes, written, Math.min(chunkBytes, bytes.length - written))).bytesWritten
  }
}

/** Makes the renaming last; Windows knows no such thing. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
