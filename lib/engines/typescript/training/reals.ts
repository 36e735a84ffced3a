/** Numbers of a network: floats, which train, or doubles, in which gradients are checked. */
export type Reals = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

export type Precision = Float32ArrayConstructor | Float64ArrayConstructor

interface Kind<Array extends Reals> {
  new (memory: ArrayBufferLike, offset: number, length: number): Array
  readonly BYTES_PER_ELEMENT: number
}

/** Makes arrays of zeros. */
export type Room = <Array extends Reals>(kind: Kind<Array>, length: number) => Array

/** In memory of their own. */
export const ordinaryRoom: Room = (kind, length) =>
  new kind(new ArrayBuffer(length * kind.BYTES_PER_ELEMENT), 0, length)

/** One behind the other, from the memory's beginning on. */
export function roomIn(memory: ArrayBufferLike): Room {
  let taken = 0
  return (kind, length) => {
    const array = new kind(memory, taken, length)
    taken += bytesOf(kind, length)
    array.fill(0)
    return array
  }
}

/** How many bytes arrays take that `make` asks for, which come out empty. */
export function bytesTaken(make: (room: Room) => void): number {
  let taken = 0
  make((kind, length) => {
    taken += bytesOf(kind, length)
    return new kind(new ArrayBuffer(0), 0, 0)
  })
  return taken
}

/** So that doubles may follow. */
const bytesOf = (kind: Kind<Reals>, length: number) => 8 * Math.ceil((length * kind.BYTES_PER_ELEMENT) / 8)

/** Numbers that a cheap loop looks at before it lets others go first. */
export const numbersOfStep = 1 << 14

/** Rows of so many numbers that make such a step. */
export const rowsOfStep = (columns: number) => Math.max(1, Math.floor(numbersOfStep / columns))
