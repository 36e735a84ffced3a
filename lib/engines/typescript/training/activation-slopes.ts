/** The activations' slopes, where the number that left them says less to write. */
import { ArgumentError } from '../../../errors.js'
import { type ElementWise, normalShare, seluAlpha, seluScale } from '../activations.js'

/** Of an activation that made y of x. */
export function slopeOf(layer: ElementWise): (x: number, y: number) => number {
  switch (layer.type) {
    case 'identity':
      return () => 1
    case 'step':
      return () => {
        throw new ArgumentError('layers', 'step has no gradient to train by; use sigmoid or relu')
      }
    case 'sigmoid':
      return (_, y) => y * (1 - y)
    case 'tanh':
      return (_, y) => 1 - y * y
    case 'relu':
      return (_, y) => (y <= 0 ? 0 : 1)
    case 'relu6':
      return (_, y) => (y <= 0 || y >= 6 ? 0 : 1)
    case 'leaky-relu': {
      const { slope } = layer
      return (_, y) => (y > 0 ? 1 : slope)
    }
    case 'elu': {
      const { alpha } = layer
      return (_, y) => (y > 0 ? 1 : y + alpha)
    }
    case 'selu':
      return (_, y) => (y > 0 ? seluScale : y + seluScale * seluAlpha)
    case 'softplus':
      return (_, y) => (y > 20 ? 1 : -Math.expm1(-y))
    case 'gelu':
      return (x) => normalShare(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
  }
}
