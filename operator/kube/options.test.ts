import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseOptions } from './options.ts'

const IMAGE = { RELAY_IMAGE: 'turnfleet:1' }

test('the environment is enough, and the command line wins', () => {
  const options = parseOptions(['--port', '9443', '--leader-elect'], {
    ...IMAGE,
    PORT: '8444',
    WATCH_NAMESPACES: 'a, b',
    POD_NAMESPACE: 'turnfleet',
  })
  assert.partialDeepStrictEqual(options, {
    relayImage: 'turnfleet:1',
    port: 9443,
    leaderElect: true,
    watchNamespaces: ['a', 'b'],
    namespace: 'turnfleet',
  })
})

test('by default one replica works without a Lease, everywhere', () => {
  assert.partialDeepStrictEqual(parseOptions([], IMAGE), {
    leaderElect: false,
    watchNamespaces: [],
    port: 8443,
  })
})

test('empty variables, as charts leave them, count as absent', () => {
  const options = parseOptions([], {
    ...IMAGE,
    WATCH_NAMESPACES: '',
    API_KEYS_SECRET: '',
    LEADER_ELECT: '',
    PORT: '',
  })
  assert.ok(options !== 'help' && options.apiKeysSecret === undefined && !options.leaderElect)
})

test('what cannot be is refused with a sentence', () => {
  const refused = (args: string[], env: NodeJS.ProcessEnv, sentence: RegExp) =>
    assert.throws(() => parseOptions(args, env), sentence)
  refused([], {}, /name the image of the relay pods/)
  refused([], { ...IMAGE, PORT: '70000' }, /"70000" is no port/)
  refused(
    [],
    { ...IMAGE, IMAGE_PULL_POLICY: 'Sometimes' },
    /--image-pull-policy \(IMAGE_PULL_POLICY\) must be one of/,
  )
  refused(['--advertise-url', 'http://x'], IMAGE, /must be an https URL/)
  refused(['--nonsense'], IMAGE, /Unknown option/)
})

test('help is help', () => {
  assert.equal(parseOptions(['-h'], {}), 'help')
})
