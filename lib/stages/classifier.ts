import type { TrainedClassifier } from '../engines/engine.js'
import { selectEngine } from '../engines/select.js'
import { runJob } from '../job.js'
import { resolveTrainClassifier, type TrainClassifierOptions } from '../options.js'

/**
 * Trains the network that predicts a vector's bin, on shuffled mini-batches (Dong et al., ICLR 2020, section 3, step 3);
 * by default one hidden layer under softmax and cross-entropy, with Adam (Kingma & Ba, ICLR 2015).
 *
 * With `initial`, the result of an earlier call, training goes on as if it had never stopped, bit for bit, provided that
 * vectors, labels, seed and the other options are the same.
 *
 * @param vectors n x dimensions numbers, row after row; left as they are, and not to be changed until the call settles.
 * @returns the network and its weights, flat in PyTorch's layouts, what each epoch was like, and the state to go on from.
 * @throws ArgumentError when an argument is wrong, a number is not finite, or a label or neighbor is out of range;
 * NeuralLSHError with code ERR_NLSH_TRAINING when the training diverges.
 */
export async function trainClassifier(
  vectors: Float32Array,
  options: TrainClassifierOptions
): Promise<TrainedClassifier> {
  const { engine: choice, device, run, request, neighbors } = resolveTrainClassifier(vectors, options)
  const engine = await selectEngine(choice, device)
  return runJob(run, async ({ stage }) => {
    const prepared = await stage('prepare', (job) =>
      engine.prepareVectors(vectors, request.dimensions, 'euclidean', 'vectors', job)
    )
    const whole = {
      ...request,
      vectors: prepared,
      neighbors: neighbors?.ids ?? new Int32Array(0),
      neighborsPerRow: neighbors?.neighbors ?? 0
    }
    return stage('classifier', (job) => engine.trainClassifier(whole, job))
  })
}
