import test from 'ava'
import {
  bufferCount,
  multiplyAdds,
  type Network,
  parameterCount,
  readNetwork,
  shapesOf,
  tensorsOf
} from '../../lib/classifier/network.js'
import { ArgumentError } from '../../lib/errors.js'

const network = (inputShape: number[], layers: object[]): Network => readNetwork({ inputShape, layers })

/** LeCun et al., 1998, with the pools as they are taught today. */
const lenet = network(
  [1, 28, 28],
  [
    { type: 'conv2d', channels: 6, kernel: 5, padding: 2 },
    { type: 'tanh' },
    { type: 'average-pool2d', kernel: 2 },
    { type: 'conv2d', channels: 16, kernel: 5, bias: false },
    { type: 'batch-norm' },
    { type: 'tanh' },
    { type: 'average-pool2d', kernel: 2 },
    { type: 'flatten' },
    { type: 'linear', outputs: 120 },
    { type: 'batch-norm' },
    { type: 'tanh' },
    { type: 'linear', outputs: 84, bias: false },
    { type: 'dropout' },
    { type: 'linear', outputs: 10 }
  ]
)

test('a layer has a number for everything that is not said', (t) => {
  t.deepEqual(lenet.layers[0], { type: 'conv2d', channels: 6, kernel: 5, stride: 1, padding: 2, bias: true })
  t.deepEqual(lenet.layers[2], { type: 'average-pool2d', kernel: 2, stride: 2, padding: 0 })
  t.deepEqual(lenet.layers[4], { type: 'batch-norm', momentum: 0.1, epsilon: 1e-5 })
  t.deepEqual(lenet.layers[12], { type: 'dropout', rate: 0.5 })
  t.deepEqual(lenet.layers[13], { type: 'linear', outputs: 10, bias: true })
})

test('the shapes of LeNet-5 are those of its paper', (t) => {
  const shapes = shapesOf(lenet).map((shape) => shape.join(' '))
  t.deepEqual(shapes, [
    '6 28 28',
    '6 28 28',
    '6 14 14',
    '16 10 10',
    '16 10 10',
    '16 10 10',
    '16 5 5',
    '400 1 1',
    '120 1 1',
    '120 1 1',
    '120 1 1',
    '84 1 1',
    '84 1 1',
    '10 1 1'
  ])
})

test('tensors have the names and shapes of a state_dict, buffers last', (t) => {
  const described = tensorsOf(lenet).map(({ name, shape, kind }) => `${name} ${shape.join('x')} ${kind}`)
  t.deepEqual(described, [
    '0.weight 6x1x5x5 parameter',
    '0.bias 6 parameter',
    '3.weight 16x6x5x5 parameter',
    '4.weight 16 parameter',
    '4.bias 16 parameter',
    '8.weight 120x400 parameter',
    '8.bias 120 parameter',
    '9.weight 120 parameter',
    '9.bias 120 parameter',
    '11.weight 84x120 parameter',
    '13.weight 10x84 parameter',
    '13.bias 10 parameter',
    '4.running_mean 16 buffer',
    '4.running_var 16 buffer',
    '9.running_mean 120 buffer',
    '9.running_var 120 buffer'
  ])
  t.is(parameterCount(lenet), 156 + 2400 + 32 + 48_120 + 240 + 10_080 + 850)
  t.is(bufferCount(lenet), 2 * 16 + 2 * 120)
})

test('multiply-adds are counted for each output pixel', (t) => {
  t.is(multiplyAdds(lenet), 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 400 * 120 + 120 * 84 + 84 * 10)
  t.is(
    multiplyAdds(
      network([100, 1, 1], [{ type: 'linear', outputs: 512 }, { type: 'relu' }, { type: 'linear', outputs: 64 }])
    ),
    100 * 512 + 512 * 64
  )
})

test('strides and paddings count as in PyTorch: rounded down', (t) => {
  const output = { type: 'linear', outputs: 2 }
  const last = (inputShape: number[], layer: object) =>
    shapesOf(network(inputShape, [layer, { type: 'flatten' }, output]))[0]
  t.deepEqual(last([3, 7, 10], { type: 'max-pool2d', kernel: 3, stride: 2 }), [3, 3, 4])
  t.deepEqual(last([3, 7, 10], { type: 'max-pool2d', kernel: 3, stride: 2, padding: 1 }), [3, 4, 5])
  t.deepEqual(last([3, 7, 10], { type: 'conv2d', channels: 4, kernel: 3, stride: 3 }), [4, 2, 3])
  t.deepEqual(last([3, 1, 1], { type: 'conv2d', channels: 4, kernel: 3, padding: 1 }), [4, 1, 1])
})

test('the last layer may have as many outputs as there are bins', (t) => {
  t.is(network([1, 1, 1], [{ type: 'linear', outputs: 100_000 }]).layers.length, 1)
})

const linear = { type: 'linear', outputs: 2 }
const wrong: [unknown, string, RegExp][] = [
  [undefined, 'network', /must be an object, but is null/],
  [[], 'network', /must be an object/],
  [{ inputShape: [4, 1, 1] }, 'network.layers', /is required: an array of at most 512 entries/],
  [{ layers: [linear] }, 'network.inputShape', /is required/],
  [{ inputShape: [4], layers: [linear] }, 'network.inputShape', /\[channels, height, width\], but has 1 of these/],
  [{ inputShape: [4, 1, 0], layers: [linear] }, 'network.inputShape[2]', /1 to 65536, but is 0/],
  [{ inputShape: [4, 1, 1], layers: [linear], depth: 1 }, 'network.depth', /is not an option/],
  [{ inputShape: [4, 1, 1], layers: [] }, 'network.layers', /must end in a layer that has an output for each bin/],
  [
    { inputShape: [4, 1, 1], layers: [linear, { type: 'relu' }] },
    'network.layers',
    /must end in a layer that has an output for each bin/
  ],
  [{ inputShape: [4, 1, 1], layers: Array(513).fill(linear) }, 'network.layers', /at most 512 entries/],
  [{ inputShape: [4, 1, 1], layers: [{}] }, 'network.layers[0].type', /is required: 'linear' or/],
  [{ inputShape: [4, 1, 1], layers: [7] }, 'network.layers[0]', /must be an object, but is 7/],
  [{ inputShape: [4, 1, 1], layers: [{ type: '__proto__' }] }, 'network.layers[0].type', /but is "__proto__"/],
  [
    { inputShape: [1, 1, 1], layers: [{ type: 'conv2d', channels: 1, kernel: 1, padding: 5000 }, linear] },
    'network.layers[0]',
    /rows of 100020001 numbers; there may be at most 2\^24/
  ],
  [{ inputShape: [4, 2, 1], layers: [linear] }, 'network.layers[0]', /flat rows, but 4 x 2 x 1 enters it/],
  [{ inputShape: [4, 2, 1], layers: [{ type: 'softmax' }, linear] }, 'network.layers[0]', /softmax takes flat rows/],
  [
    { inputShape: [1, 5, 5], layers: [{ type: 'conv2d', channels: 1, kernel: 6 }, linear] },
    'network.layers[0].kernel',
    /must fit into 5 x 5: at most 5, but is 6/
  ],
  [
    { inputShape: [1, 5, 4], layers: [{ type: 'max-pool2d', kernel: 7, padding: 1 }, linear] },
    'network.layers[0].kernel',
    /must fit into 5 x 4 with a padding of 1: at most 6, but is 7/
  ],
  [
    { inputShape: [1, 5, 5], layers: [{ type: 'max-pool2d', kernel: 3, padding: 2 }, linear] },
    'network.layers[0].padding',
    /at most half the kernel's side, 1, but is 2/
  ],
  [
    { inputShape: [1, 60_000, 60_000], layers: [{ type: 'relu' }, { type: 'flatten' }, linear] },
    'network.layers[0]',
    /makes rows of 3600000000 numbers/
  ],
  [
    { inputShape: [65_536, 1, 1], layers: [{ type: 'linear', outputs: 65_536 }] },
    'network.layers',
    /a network of 4295032832 weights; there must be fewer than 2\^31/
  ]
]

for (const [i, [value, argument, message]] of wrong.entries()) {
  test(`wrong (${i}): ${argument}, ${message}`, (t) => {
    const error = t.throws(() => readNetwork(value), { instanceOf: ArgumentError })
    t.is((error as ArgumentError | undefined)?.argument, argument)
    t.regex(error?.message ?? '', message)
  })
}
