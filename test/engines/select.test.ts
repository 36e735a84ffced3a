import test from 'ava'
import { engineChoices, selectEngine } from '../../lib/engines/select.js'

test.serial('an engine is made once, and auto takes the native one', (t) => {
  const engine = selectEngine('native')
  t.is(engine.name, 'native')
  t.true(engine.hardwareThreads >= 1)
  t.is(selectEngine('auto'), engine)
})

test.serial('NEURAL_LSH_ENGINE overrules what is asked for', (t) => {
  t.teardown(() => delete process.env.NEURAL_LSH_ENGINE)
  process.env.NEURAL_LSH_ENGINE = 'abacus'
  for (const choice of engineChoices) {
    t.throws(() => selectEngine(choice), {
      code: 'ERR_NLSH_ARGUMENT',
      message: /^NEURAL_LSH_ENGINE: .*but is "abacus"/
    })
  }
  process.env.NEURAL_LSH_ENGINE = 'native'
  t.is(selectEngine('auto').name, 'native')
  process.env.NEURAL_LSH_ENGINE = ''
  t.is(selectEngine('auto').name, 'native', 'empty is as good as not set')
})
