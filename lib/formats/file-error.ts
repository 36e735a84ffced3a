import { FileError, NeuralLSHError } from '../errors.js'

const reasons: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EISDIR: 'is a folder, not a file',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  ENOSPC: 'no space left on the device',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'the name is too long',
  Z_BUF_ERROR: 'the gzip stream is truncated',
  Z_DATA_ERROR: 'the gzip stream is damaged'
}

/** What the system and zlib throw, as a FileError that names the file; anything else as it is. */
export function asFileError(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof NeuralLSHError || !('code' in error)) return error
  const system = 'syscall' in error || String(error.code).startsWith('Z_')
  if (!system) return error
  return new FileError(path, reasons[String(error.code)] ?? error.message, undefined, { cause: error })
}
