/** How a network is trained, as plain data: one description that every engine runs. All numbers are said. */

export type InitializationType =
  | 'uniform'
  | 'xavier-uniform'
  | 'xavier-normal'
  | 'he-uniform'
  | 'he-normal'
  | 'lecun-normal'

/** Weights before the first step; biases are 0. */
export type Initialization =
  | { type: InitializationType }
  | {
      type: 'constant'
      /** Default 0. */
      value: number
    }

/** What a vector goes through before the network: nothing; minus each feature's mean, over one deviation for all;
 * minus each feature's mean, over its own deviation; brought to unit length, then centered. */
export type InputType = 'none' | 'center' | 'standardize' | 'normalize'

/** `classWeights`: 'none', 'balanced' (n / (bins * the bin's points), 0 for empty bins), or a weight for each bin. */
export type ClassWeights = 'none' | 'balanced' | readonly number[]

export type Loss =
  | {
      type: 'cross-entropy'
      /** Share of the target that is spread over all bins, 0 to below 1, default 0. */
      labelSmoothing: number
      /** Default 'none'. */
      classWeights: ClassWeights
    }
  | {
      type: 'binary-cross-entropy' | 'mean-squared-error' | 'mean-absolute-error'
      /** Default 'none'. */
      classWeights: ClassWeights
    }

export type Optimizer =
  | {
      type: 'sgd'
      /** Default 0.1. */
      learningRate: number
      /** 0 to below 1, default 0.9; 0 is plain gradient descent. */
      momentum: number
      /** Look ahead with the momentum; default false. */
      nesterov: boolean
    }
  | {
      type: 'adagrad'
      /** Default 0.01. */
      learningRate: number
      /** Default 1e-10. */
      epsilon: number
    }
  | {
      type: 'rmsprop'
      /** Default 0.001. */
      learningRate: number
      /** Of the running squares, default 0.99. */
      decay: number
      /** Default 1e-8. */
      epsilon: number
      /** Default 0. */
      momentum: number
    }
  | {
      type: 'adadelta'
      /** Default 1. */
      learningRate: number
      /** Of the running squares, default 0.9. */
      decay: number
      /** Default 1e-6. */
      epsilon: number
    }
  | {
      type: 'adam' | 'adamax'
      /** Default 0.003, three times PyTorch's (docs/recipes.md); of adamax 0.002. */
      learningRate: number
      /** Default 0.9. */
      beta1: number
      /** Default 0.999. */
      beta2: number
      /** Default 1e-8. */
      epsilon: number
    }
  | {
      type: 'adamw'
      /** Default 0.001. */
      learningRate: number
      /** Default 0.9. */
      beta1: number
      /** Default 0.999. */
      beta2: number
      /** Default 1e-8. */
      epsilon: number
      /** Decoupled from the gradient; default 0.01. */
      weightDecay: number
    }
  | {
      type: 'nadam'
      /** Default 0.002. */
      learningRate: number
      /** Default 0.9. */
      beta1: number
      /** Default 0.999. */
      beta2: number
      /** Default 1e-8. */
      epsilon: number
      /** Default 0.004. */
      momentumDecay: number
    }

/** How the learning rate goes on; times are in epochs. */
export type Schedule = {
  /** Epochs of a linear rise before it, 0 to 10000 and not necessarily whole, default 0. */
  warmup: number
} & (
  | { type: 'constant' }
  | {
      type: 'step'
      /** Above 0, at most 1; default 0.1. */
      factor: number
      /** Epochs between two steps. */
      every: number
    }
  | {
      type: 'multi-step'
      /** Above 0, at most 1; default 0.1. */
      factor: number
      /** The epochs after which it steps, rising. */
      milestones: readonly number[]
    }
  | {
      type: 'exponential'
      /** Of each epoch; above 0, at most 1; default 0.9. */
      factor: number
    }
  | {
      type: 'cosine'
      /** Where it ends, as a share of the learning rate; 0 to 1, default 0. */
      minimum: number
      /** When it ends; default: with the training. */
      epochs: number
    }
  | {
      type: 'plateau'
      /** Above 0, at most 1; default 0.1. */
      factor: number
      /** Epochs without a lower loss (of the held-out vectors if there are any) that are borne; default 2. */
      patience: number
    }
)

export interface Regularization {
  /** Penalty on the sum of all weights' sizes, default 0. */
  l1: number
  /** Penalty on half the sum of all weights' squares, default 0. */
  l2: number
  /** Deviation of normal noise on the network's input in training, default 0. */
  inputNoise: number
  /** Gradients of a larger norm are scaled down to it; default 0: none are. */
  clipNorm: number
}

export interface EarlyStopping {
  /** Default 'validation-loss'. */
  monitor: 'validation-loss' | 'neighbor-accuracy'
  /** Epochs without a better value that are borne; default 3. */
  patience: number
}

/** Of matrix products and convolutions in a training. */
export const trainingPrecisions = ['fp32', 'tf32', 'bf16'] as const
export type TrainingPrecision = (typeof trainingPrecisions)[number]
