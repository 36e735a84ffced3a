/** The learning rate in the course of training. */
import type { Schedule } from '../../../classifier/training.js'
import type { TrainingState } from '../../engine.js'

/** What reduce-on-plateau has seen (as torch's ReduceLROnPlateau, mode min, relative threshold 1e-4). */
export type PlateauState = TrainingState['plateau']

export const newPlateau = (): PlateauState => ({ lowestLoss: Number.POSITIVE_INFINITY, staleEpochs: 0, factor: 1 })

/**
 * The share of the learning rate in step `step` of the optimizer, from 0 and counted over all epochs. The cosine
 * (Loshchilov & Hutter, ICLR 2017, equation 5) and the warm-up change from step to step, all others from epoch to epoch;
 * they count their time from the end of the warm-up.
 */
export function scheduleFactor(schedule: Schedule, plateau: PlateauState, step: number, stepsPerEpoch: number): number {
  const warmup = Math.round(schedule.warmup * stepsPerEpoch)
  if (step < warmup) return (step + 1) / warmup
  const steps = step - warmup
  const epochs = Math.floor(steps / stepsPerEpoch)
  switch (schedule.type) {
    case 'constant':
      return 1
    case 'step':
      return schedule.factor ** Math.floor(epochs / schedule.every)
    case 'multi-step':
      return schedule.factor ** schedule.milestones.filter((milestone) => milestone <= epochs).length
    case 'exponential':
      return schedule.factor ** epochs
    case 'cosine': {
      const progress = Math.min(1, steps / (schedule.epochs * stepsPerEpoch))
      return schedule.minimum + ((1 - schedule.minimum) * (1 + Math.cos(Math.PI * progress))) / 2
    }
    case 'plateau':
      return plateau.factor
  }
}

/** After an epoch, with the loss that is watched. */
export function observe(schedule: Schedule, plateau: PlateauState, loss: number): void {
  if (schedule.type !== 'plateau') return
  const threshold = 1e-4
  if (loss < plateau.lowestLoss * (1 - threshold)) {
    plateau.lowestLoss = loss
    plateau.staleEpochs = 0
  } else if (++plateau.staleEpochs > schedule.patience) {
    plateau.factor *= schedule.factor
    plateau.staleEpochs = 0
  }
}
