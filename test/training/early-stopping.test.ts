import type { ClassifierOptions } from '../../lib/classifier/options.js'
import { eachEngine } from '../engines/each-engine.js'
import { crossEntropy, logitsOfRows, readWords, sharesOf, split, trainingRequest } from '../support/training.js'

const { words } = readWords()

const options: ClassifierOptions = {
  hidden: [64],
  softLabels: 0,
  optimizer: { learningRate: 0.01 },
  schedule: { type: 'constant' },
  batchSize: 100,
  validationFraction: 0.1,
  epochs: 60
}

eachEngine(({ engine, test }) => {
  for (const monitor of ['validation-loss', 'neighbor-accuracy'] as const) {
    test(`early stopping by ${monitor} ends after its patience and restores the best epoch's weights`, async (t) => {
      const request = trainingRequest(words, { ...options, batchNorm: true, earlyStopping: { monitor, patience: 4 } })
      const trained = await engine.trainClassifier(request, { threads: 0 })
      const { history, bestEpoch } = trained
      t.true(history.length < 60, 'it ends early')
      const values = history.map((epoch) =>
        monitor === 'validation-loss' ? -epoch.validationLoss : epoch.neighborAccuracy
      )
      t.is(bestEpoch, values.indexOf(Math.max(...values)) + 1)
      t.is(history.length, bestEpoch + 5)

      const best = await engine.trainClassifier(
        { ...request, earlyStopping: undefined, epochs: bestEpoch },
        { threads: 0 }
      )
      t.deepEqual(trained.parameters, best.parameters)
      t.deepEqual(trained.buffers, best.buffers)
      t.deepEqual(trained.calibration, best.calibration)
      t.notDeepEqual(trained.state.parameters, best.parameters)

      const { validation } = split(request)
      const logits = logitsOfRows(trained, request, validation)
      const loss = crossEntropy(
        logits,
        validation.map((row) => sharesOf(request, row))
      )
      t.true(Math.abs(loss / (history[bestEpoch - 1]?.validationLoss ?? 0) - 1) < 1e-4, `${loss}`)
      t.true(Math.abs(loss / (history.at(-1)?.validationLoss ?? 0) - 1) > 1e-3, `${loss}`)
    })
  }

  test('without early stopping the last epoch is kept', async (t) => {
    const request = trainingRequest(words, { ...options, epochs: 4 })
    const { bestEpoch, parameters, state, history } = await engine.trainClassifier(request, { threads: 0 })
    t.is(history.length, 4)
    t.is(bestEpoch, 4)
    t.deepEqual(parameters, state.parameters)
  })
})
