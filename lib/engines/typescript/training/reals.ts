/** Numbers of a network: floats, which train, or doubles, in which gradients are checked. */
export type Reals = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>

export type Precision = Float32ArrayConstructor | Float64ArrayConstructor

/** Numbers that a cheap loop looks at before it lets others go first. */
export const numbersOfStep = 1 << 14

/** Rows of so many numbers that make such a step. */
export const rowsOfStep = (columns: number) => Math.max(1, Math.floor(numbersOfStep / columns))
