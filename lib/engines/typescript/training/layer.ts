/** What every kind of layer can do in training. */
import type { Steps } from '../turns.js'
import type { Reals } from './reals.js'

/** One forward and backward pass over a batch, or over a part of it: the `rows` rows from number `first` on. */
export interface Pass {
  rows: number
  first: number
  /** In use, dropout does nothing and batch norm applies its running statistics. */
  isTraining: boolean
  /** Of this layer in this step: what dropout draws from. */
  seed: bigint
}

/** A layer's weights, and the running statistics that training updates. */
export interface LayerWeights {
  parameters: Reals
  buffers: Reals
}

/** What a layer needs for its backward pass. */
export interface Gradients {
  parameters: Reals
  /** What entered it and what left it. */
  from: Reals
  to: Reals
  /** Of the loss, with respect to what left it. */
  outGradient: Reals
  /** To be written: with respect to what entered it, where somebody wants to know, */
  inGradient: Reals | undefined
  /** and to its parameters; added to what the batch's first rows gave where there were some. */
  parameterGradient: Reals
}

export interface TrainingLayer {
  /** `from` and `to` hold row after row. What the backward pass needs besides them stays in the layer. */
  forward(pass: Pass, weights: LayerWeights, from: Reals, to: Reals): Steps<void>
  backward(pass: Pass, gradients: Gradients): Steps<void>
}
