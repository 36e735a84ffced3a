/**
 * The optimizers, step for step as torch.optim has them. Sources: momentum, Polyak 1964; Nesterov 1983 in the form of
 * Sutskever et al., ICML 2013; AdaGrad, Duchi et al., JMLR 2011; RMSProp, Tieleman & Hinton 2012; Adadelta, Zeiler 2012;
 * Adam and Adamax, Kingma & Ba, ICLR 2015; AdamW, Loshchilov & Hutter, ICLR 2019; NAdam, Dozat 2016.
 */
import type { Optimizer as Options, Regularization } from '../../../classifier/training.js'
import { ArgumentError } from '../../../errors.js'
import type { Steps } from '../turns.js'
import { numbersOfStep, type Reals } from './reals.js'

type Of<Type extends Options['type']> = Extract<Options, { type: Type }>

/** What the Adam family shares. */
type Moments = Pick<Of<'adamw'>, 'beta1' | 'beta2' | 'epsilon'>

/** The parameters [begin, end), and what belongs to them. */
interface Piece {
  begin: number
  end: number
  parameters: Reals
  gradient: Reals
  /** Running values: each as long as the parameters. */
  slots: Reals[]
}

/** What a step is told besides the arrays. */
interface Step {
  learningRate: number
  /** From 1. */
  number: number
  /** Of nadam: the product of its momenta, with this step's. */
  momentumProduct: number
}

function slotsOf(options: Options): number {
  switch (options.type) {
    case 'sgd':
      return options.momentum === 0 ? 0 : 1
    case 'adagrad':
      return 1
    case 'rmsprop':
      return options.momentum === 0 ? 1 : 2
    default:
      return 2
  }
}

export class Optimizer {
  readonly #options: Options
  readonly #update: Update
  readonly #regularization: Regularization
  readonly #slots: Reals
  readonly #slotList: Reals[]
  #steps = 0
  #momentumProduct = 1

  /** `slots`: an array of the parameters' precision, of the size that is asked for. */
  constructor(options: Options, regularization: Regularization, parameters: number, slots: (size: number) => Reals) {
    const count = slotsOf(options)
    const all = slots(count * parameters)
    this.#options = options
    this.#update = updateOf(options)
    this.#regularization = regularization
    this.#slots = all
    this.#slotList = Array.from({ length: count }, (_, i) => all.subarray(i * parameters, (i + 1) * parameters))
  }

  /** With the running values of another and its steps so far an optimizer goes on where that stopped, bit for bit. */
  get slots(): Reals {
    return this.#slots
  }

  get steps(): number {
    return this.#steps
  }

  restore(slots: Float32Array, steps: number): void {
    if (slots.length !== this.#slots.length) {
      const right = `${this.#slots.length} running values for this network and optimizer`
      throw new ArgumentError('initial', `its state must have ${right}, but has ${slots.length}`)
    }
    this.#slots.set(slots)
    this.#steps = steps
    this.#momentumProduct = 1
    if (this.#options.type !== 'nadam') return
    for (let step = 1; step <= steps && this.#momentumProduct > 0; step++)
      this.#momentumProduct *= nadamMomentum(this.#options, step)
  }

  /** One step with this learning rate; the gradient may be changed. */
  *step(learningRate: number, parameters: Reals, gradient: Reals): Steps<void> {
    const options = this.#options
    this.#steps++
    if (options.type === 'nadam') this.#momentumProduct *= nadamMomentum(options, this.#steps)
    const step = { learningRate, number: this.#steps, momentumProduct: this.#momentumProduct }
    const clip = yield* clipFactor(this.#regularization.clipNorm, gradient)
    for (let begin = 0; begin < parameters.length; begin += numbersOfStep) {
      const end = Math.min(begin + numbersOfStep, parameters.length)
      const piece = { begin, end, parameters, gradient, slots: this.#slotList }
      regularize(this.#regularization, clip, piece)
      this.#update(step, piece)
      yield 0
    }
  }
}

/** What the gradient is to be multiplied with, as torch.nn.utils.clip_grad_norm_ has it. */
function* clipFactor(clipNorm: number, gradient: Reals): Steps<number> {
  if (clipNorm === 0) return 1
  let squared = 0
  for (let i = 0; i < gradient.length; ) {
    for (const end = Math.min(i + numbersOfStep, gradient.length); i < end; i++) squared += (gradient[i] as number) ** 2
    yield 0
  }
  return Math.min(1, clipNorm / (Math.sqrt(squared) + 1e-6))
}

/** Clips the gradient and adds the penalties' gradients to it. */
function regularize({ l1, l2 }: Regularization, clip: number, { begin, end, parameters, gradient }: Piece): void {
  if (clip === 1 && l1 === 0 && l2 === 0) return
  for (let i = begin; i < end; i++) {
    const parameter = parameters[i] as number
    gradient[i] = clip * (gradient[i] as number) + l2 * parameter + l1 * Math.sign(parameter)
  }
}

type Update = (step: Step, piece: Piece) => void

function updateOf(options: Options): Update {
  switch (options.type) {
    case 'sgd':
      return options.momentum === 0 ? plainSgd : (step, piece) => sgd(options, step, piece)
    case 'adagrad':
      return (step, piece) => adagrad(options, step, piece)
    case 'rmsprop':
      return (step, piece) => rmsprop(options, step, piece)
    case 'adadelta':
      return (step, piece) => adadelta(options, step, piece)
    case 'adam':
      return (step, piece) => adam(options, step, piece)
    case 'adamw':
      return (step, piece) => {
        decay(1 - step.learningRate * options.weightDecay, piece)
        adam(options, step, piece)
      }
    case 'adamax':
      return (step, piece) => adamax(options, step, piece)
    case 'nadam':
      return (step, piece) => nadam(options, step, piece)
  }
}

function plainSgd({ learningRate }: Step, { begin, end, parameters, gradient }: Piece): void {
  for (let i = begin; i < end; i++) parameters[i] = (parameters[i] as number) - learningRate * (gradient[i] as number)
}

function sgd({ momentum, nesterov }: Of<'sgd'>, { learningRate }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const velocity = slots[0] as Reals
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    velocity[i] = momentum * (velocity[i] as number) + slope
    const change = nesterov ? slope + momentum * (velocity[i] as number) : (velocity[i] as number)
    parameters[i] = (parameters[i] as number) - learningRate * change
  }
}

function adagrad({ epsilon }: Of<'adagrad'>, { learningRate }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const squares = slots[0] as Reals
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    squares[i] = (squares[i] as number) + slope * slope
    parameters[i] = (parameters[i] as number) - (learningRate * slope) / (Math.sqrt(squares[i] as number) + epsilon)
  }
}

function rmsprop({ decay, epsilon, momentum }: Of<'rmsprop'>, { learningRate }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const squares = slots[0] as Reals
  const velocity = slots[1]
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    squares[i] = decay * (squares[i] as number) + (1 - decay) * slope * slope
    let change = slope / (Math.sqrt(squares[i] as number) + epsilon)
    if (velocity !== undefined) {
      change += momentum * (velocity[i] as number)
      velocity[i] = change
    }
    parameters[i] = (parameters[i] as number) - learningRate * change
  }
}

function adadelta({ decay, epsilon }: Of<'adadelta'>, { learningRate }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const [squares, squaredChanges] = slots as [Reals, Reals]
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    squares[i] = decay * (squares[i] as number) + (1 - decay) * slope * slope
    const changed = Math.sqrt((squaredChanges[i] as number) + epsilon)
    const change = (changed / Math.sqrt((squares[i] as number) + epsilon)) * slope
    squaredChanges[i] = decay * (squaredChanges[i] as number) + (1 - decay) * change * change
    parameters[i] = (parameters[i] as number) - learningRate * change
  }
}

/** Also AdamW, whose decay comes before. */
function adam({ beta1, beta2, epsilon }: Moments, { learningRate, number }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const [first, second] = slots as [Reals, Reals]
  const firstRate = 1 - beta1
  const secondRate = 1 - beta2
  const stepSize = learningRate / (1 - beta1 ** number)
  const rootCorrection = 1 / Math.sqrt(1 - beta2 ** number)
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    const mean = (first[i] as number) + firstRate * (slope - (first[i] as number))
    const square = beta2 * (second[i] as number) + secondRate * slope * slope
    first[i] = mean
    second[i] = square
    parameters[i] = (parameters[i] as number) - (stepSize * mean) / (Math.sqrt(square) * rootCorrection + epsilon)
  }
}

/** AdamW's decoupled decay (Loshchilov & Hutter, algorithm 2, line 12), before its step as in torch. */
function decay(kept: number, { begin, end, parameters }: Piece): void {
  for (let i = begin; i < end; i++) parameters[i] = (parameters[i] as number) * kept
}

function adamax({ beta1, beta2, epsilon }: Moments, { learningRate, number }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const [first, largest] = slots as [Reals, Reals]
  const stepSize = learningRate / (1 - beta1 ** number)
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    first[i] = (first[i] as number) + (1 - beta1) * (slope - (first[i] as number))
    largest[i] = Math.max(beta2 * (largest[i] as number), Math.abs(slope) + epsilon)
    parameters[i] = (parameters[i] as number) - (stepSize * (first[i] as number)) / (largest[i] as number)
  }
}

/** The momentum of a step, from 1: rises from about beta1 / 2 to beta1. */
const nadamMomentum = ({ beta1, momentumDecay }: Of<'nadam'>, step: number) =>
  beta1 * (1 - 0.5 * 0.96 ** (step * momentumDecay))

function nadam(options: Of<'nadam'>, { learningRate, number, momentumProduct }: Step, piece: Piece): void {
  const { begin, end, parameters, gradient, slots } = piece
  const { beta1, beta2, epsilon } = options
  const [first, second] = slots as [Reals, Reals]
  const next = nadamMomentum(options, number + 1)
  const gradientRate = (learningRate * (1 - nadamMomentum(options, number))) / (1 - momentumProduct)
  const momentRate = (learningRate * next) / (1 - momentumProduct * next)
  const rootCorrection = 1 / Math.sqrt(1 - beta2 ** number)
  for (let i = begin; i < end; i++) {
    const slope = gradient[i] as number
    first[i] = (first[i] as number) + (1 - beta1) * (slope - (first[i] as number))
    second[i] = beta2 * (second[i] as number) + (1 - beta2) * slope * slope
    const root = Math.sqrt(second[i] as number) * rootCorrection + epsilon
    parameters[i] = (parameters[i] as number) - (gradientRate * slope + momentRate * (first[i] as number)) / root
  }
}
