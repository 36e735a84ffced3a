/** The activations, with PyTorch's definitions, as functions of one number. */
import type { ActivationType, Layer } from '../../classifier/network.js'

export type ElementWise = Extract<Layer, { type: Exclude<ActivationType, 'softmax'> }>

export const seluAlpha = 1.6732632423543772
export const seluScale = 1.0507009873554805

export function activationOf(layer: ElementWise): (x: number) => number {
  switch (layer.type) {
    case 'identity':
      return (x) => x
    case 'step':
      return (x) => (x > 0 ? 1 : x <= 0 ? 0 : x)
    case 'sigmoid':
      return (x) => 1 / (1 + Math.exp(-x))
    case 'tanh':
      return Math.tanh
    case 'relu':
      return (x) => (x < 0 ? 0 : x)
    case 'relu6':
      return (x) => (x < 0 ? 0 : x > 6 ? 6 : x)
    case 'leaky-relu': {
      const { slope } = layer
      return (x) => (x > 0 ? x : slope * x)
    }
    case 'elu': {
      const { alpha } = layer
      return (x) => (x > 0 ? x : alpha * Math.expm1(x))
    }
    case 'selu':
      return (x) => seluScale * (x > 0 ? x : seluAlpha * Math.expm1(x))
    case 'softplus':
      // Beyond 20 it is x, as in PyTorch.
      return (x) => (x > 20 ? x : Math.log1p(Math.exp(x)))
    case 'gelu':
      return (x) => x * normalShare(x)
  }
}

/** The share of a standard normal distribution that lies below x. */
export const normalShare = (x: number) => complementaryError(-x / Math.SQRT2) / 2

/** 2 / sqrt(pi) times the integral of exp(-t^2) from x on: by its series near 0, else by its continued fraction, each to
 * within 1e-12. */
function complementaryError(x: number): number {
  if (x < 0) return 2 - complementaryError(-x)
  return x < 2 ? 1 - errorBySeries(x) : complementByFraction(x)
}

/** Abramowitz & Stegun 1964, 7.1.6: all terms are positive, so that nothing cancels. */
function errorBySeries(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; term > 1e-17 * sum; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** 7.1.14, from a depth that is enough from 2 on. */
function complementByFraction(x: number): number {
  let fraction = x
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction)
}
