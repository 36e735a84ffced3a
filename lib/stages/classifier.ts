import type { TrainedClassifier } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { resolveTrainClassifier, type TrainClassifierOptions } from '../options.js'

/**
 * Trains the network that predicts a vector's bin: Linear-ReLU-...-Linear under softmax and cross-entropy, with Adam
 * (Kingma & Ba, ICLR 2015) on shuffled mini-batches (Dong et al., ICLR 2020, section 3, step 3).
 *
 * @param vectors n x dimensions numbers, row after row; left as they are, and not to be changed until the call settles.
 * @returns the weights, flat in PyTorch's [out, in] layout, and the loss and accuracy of each epoch.
 * @throws ArgumentError when an argument is wrong, a number is not finite, or a label or neighbor is out of range;
 * NeuralLSHError with code ERR_NLSH_TRAINING when the loss stops being finite.
 */
export async function trainClassifier(
  vectors: Float32Array,
  options: TrainClassifierOptions
): Promise<TrainedClassifier> {
  const { engine: choice, threads, signal, onProgress, ...settings } = resolveTrainClassifier(vectors, options)
  const { dimensions, neighbors, optimizer, hidden, ...rest } = settings
  const engine = selectEngine(choice)
  return runJob({ threads, signal, onProgress }, async ({ stage }) => {
    const prepared = await stage('prepare', (job) =>
      engine.prepareVectors(vectors, dimensions, 'euclidean', 'vectors', job)
    )
    const request = {
      ...rest,
      vectors: prepared,
      dimensions,
      hidden: [...hidden],
      learningRate: optimizer.learningRate,
      neighbors: neighbors?.ids ?? new Int32Array(0),
      neighborsPerRow: neighbors?.neighbors ?? 0
    }
    return stage('classifier', (job) => engine.trainClassifier(request, job))
  })
}
