/** Plain encoders, written apart from the readers that they test. */

type Kind = 'f4' | 'u1' | 'i4'
const sizes = { f4: 4, u1: 1, i4: 4 }

function put(bytes: Buffer, kind: Kind, value: number, at: number): void {
  if (kind === 'f4') bytes.writeFloatLE(value, at)
  else if (kind === 'i4') bytes.writeInt32LE(value, at)
  else bytes.writeUInt8(value, at)
}

/** fvecs, bvecs or ivecs. */
export function encodeVecs(kind: Kind, rows: number[][]): Buffer {
  return Buffer.concat(
    rows.map((row) => {
      const bytes = Buffer.alloc(4 + row.length * sizes[kind])
      bytes.writeInt32LE(row.length)
      for (const [i, value] of row.entries()) put(bytes, kind, value, 4 + i * sizes[kind])
      return bytes
    })
  )
}

export const idxTypes = { u1: 0x08, i1: 0x09, i2: 0x0b, i4: 0x0c, f4: 0x0d, f8: 0x0e }

export function encodeIdx(type: keyof typeof idxTypes, shape: number[], values: number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * shape.length)
  header.set([0, 0, idxTypes[type], shape.length])
  for (const [axis, length] of shape.entries()) header.writeUInt32BE(length, 4 + 4 * axis)
  const width = Number(type[1])
  const data = Buffer.alloc(values.length * width)
  for (const [i, value] of values.entries()) {
    if (type === 'f4') data.writeFloatBE(value, i * width)
    else if (type === 'f8') data.writeDoubleBE(value, i * width)
    else if (type === 'u1') data.writeUInt8(value, i)
    else data.writeIntBE(value, i * width, width)
  }
  return Buffer.concat([header, data])
}

/** npy, version 1; `data` are the elements' bytes. */
export function encodeNpy(header: string, data: Uint8Array, version = 1): Buffer {
  const text = Buffer.from(`${header}\n`)
  const start = Buffer.from('\x93NUMPY\x00\x00\x00\x00', 'latin1')
  start[6] = version
  start.writeUInt16LE(text.length, 8)
  return Buffer.concat([start, text, data])
}

export function npyHeader(descr: string, shape: string, order = 'False'): string {
  return `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`
}
