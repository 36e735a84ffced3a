import { open, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { FileError } from '../errors.js'
import { asFileError } from './file-error.js'

/** Small enough that turning one chunk into numbers takes well under a millisecond. */
const chunkBytes = 1 << 16
/** Deflate cannot shrink data further than this. */
const largestCompressionRatio = 1032

export interface ByteReaderOptions {
  compressed: boolean
  signal?: AbortSignal | undefined
}

/** Pulls the bytes of a file, or what its gzip stream holds, from front to back. */
export class ByteReader {
  private chunk: Uint8Array = new Uint8Array(0)

  constructor(
    private readonly chunks: AsyncIterator<Buffer>,
    /** An upper bound of the number of bytes to come; exact where the file is not compressed. */
    readonly largestSize: number,
    private readonly signal: AbortSignal | undefined
  ) {}

  /** The next bytes, as many as there are at hand; undefined at the end. Not to be mixed with `read`. */
  async next(): Promise<Uint8Array | undefined> {
    this.signal?.throwIfAborted()
    const { value, done } = await this.chunks.next()
    return done ? undefined : value
  }

  /** Fills `target`; the number returned is smaller than its length only at the end. */
  async read(target: Uint8Array): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      if (this.chunk.length === 0) {
        const next = await this.next()
        if (next === undefined) break
        this.chunk = next
      }
      const taken = this.chunk.subarray(0, target.length - filled)
      target.set(taken, filled)
      filled += taken.length
      this.chunk = this.chunk.subarray(taken.length)
    }
    return filled
  }

  async atEnd(): Promise<boolean> {
    return (await this.read(new Uint8Array(1))) === 0
  }
}

/** Opens the file, checks that it is compressed if and only if it should be, and closes it after `use`. */
export async function withByteReader<T>(
  path: string,
  options: ByteReaderOptions,
  use: (reader: ByteReader) => Promise<T>
): Promise<T> {
  let close = async (): Promise<void> => {}
  try {
    const size = await regularFileSize(path)
    const handle = await open(path, 'r')
    close = () => handle.close()
    const start = Buffer.alloc(3)
    await handle.read(start, 0, 3, 0)
    checkCompression(path, start, options.compressed)
    const file = handle.createReadStream({ start: 0, highWaterMark: chunkBytes })
    const stream = options.compressed ? pipeline(file, createGunzip({ chunkSize: chunkBytes }), () => {}) : file
    close = () => {
      stream.destroy()
      file.destroy()
      return handle.close()
    }
    return await use(
      new ByteReader(
        stream[Symbol.asyncIterator](),
        options.compressed ? size * largestCompressionRatio : size,
        options.signal
      )
    )
  } catch (error) {
    throw asFileError(path, error)
  } finally {
    await close()
  }
}

/** The number of bytes in the file (unpacked), counted no further than `enough`. */
export function contentSize(path: string, options: ByteReaderOptions, enough: number): Promise<number> {
  return withByteReader(path, options, async (reader) => {
    if (!options.compressed) return reader.largestSize
    let size = 0
    // A gzip file does not say reliably how much it holds, so it is unpacked once only to be measured: that is cheaper
    // than holding it twice.
    for (let chunk = await reader.next(); chunk !== undefined && size < enough; chunk = await reader.next())
      size += chunk.length
    return size
  })
}

/** @throws FileError for what is not a file or is empty */
export async function regularFileSize(path: string): Promise<number> {
  const status = await stat(path)
  if (status.isDirectory()) throw new FileError(path, 'is a folder, not a file')
  if (!status.isFile()) throw new FileError(path, 'is not a regular file')
  if (status.size === 0) throw new FileError(path, 'is empty')
  return status.size
}

function checkCompression(path: string, start: Buffer, compressed: boolean): void {
  const gzip = start[0] === 0x1f && start[1] === 0x8b && start[2] === 0x08
  if (compressed && !gzip) throw new FileError(path, 'is not a gzip file, though its name ends in .gz')
  if (!compressed && gzip) throw new FileError(path, 'is a gzip file: its name must end in .gz')
}
