/** A function that warns, the first time that it is called, of why another engine computes than was meant to. */
export function fallbackWarning(what: string): (why: Error) => void {
  let hasWarned = false
  return ({ message }) => {
    if (!hasWarned)
      process.emitWarning(`${what}: ${message}`, { type: 'NeuralLSHWarning', code: 'NEURAL_LSH_FALLBACK' })
    hasWarned = true
  }
}
