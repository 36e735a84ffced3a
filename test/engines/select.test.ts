import test from 'ava'
import { engineChoices, selectEngine } from '../../lib/engines/select.js'

test.serial('an engine is made once, and auto takes the native one', async (t) => {
  const engine = await selectEngine('native')
  t.is(engine.name, 'native')
  t.true(engine.hardwareThreads >= 1)
  t.is(await selectEngine('auto'), engine)
})

test.serial('NEURAL_LSH_ENGINE overrules what is asked for', async (t) => {
  t.teardown(() => delete process.env.NEURAL_LSH_ENGINE)
  process.env.NEURAL_LSH_ENGINE = 'abacus'
  for (const choice of engineChoices) {
    await t.throwsAsync(selectEngine(choice), {
      code: 'ERR_NLSH_ARGUMENT',
      message: /^NEURAL_LSH_ENGINE: .*but is "abacus"/
    })
  }
  process.env.NEURAL_LSH_ENGINE = 'native'
  t.is((await selectEngine('auto')).name, 'native')
  process.env.NEURAL_LSH_ENGINE = ''
  t.is((await selectEngine('auto')).name, 'native', 'empty is as good as not set')
})
