import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCorpus } from './corpus.ts'
import { Fuzzer } from './fuzzer.ts'
import { TARGETS } from './targets.ts'

for (const [name, target] of Object.entries(TARGETS)) {
  test(`${name}: what fuzzing kept of earlier runs finds nothing`, () => {
    const corpus = readCorpus(name)
    assert.ok(corpus.length > 0)
    for (const input of [...target.seeds, ...corpus]) {
      assert.doesNotThrow(() => target.run(input), `input ${Buffer.from(input).toString('base64')}`)
    }
  })
}

test('a fuzzer follows the code to a fault that chance alone would not meet, and cuts the input down to it', () => {
  const word = new TextEncoder().encode('TURN')
  let deepest = 0
  const fuzzer = new Fuzzer(
    {
      seeds: [],
      dictionary: [],
      code: /corpus\.test/,
      run(input) {
        if (input[0] !== word[0]) return
        deepest = Math.max(deepest, 1)
        if (input[1] !== word[1]) return
        deepest = Math.max(deepest, 2)
        if (input[2] !== word[2]) return
        deepest = Math.max(deepest, 3)
        if (input[3] === word[3]) throw new Error('found')
      },
    },
    1,
  )
  const { finding, corpus } = fuzzer.run([new Uint8Array(8)], 120, () => undefined)
  assert.equal(deepest, 3)
  assert.ok(corpus.length >= 3)
  assert.deepEqual(finding?.input, word)
})
