import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Action, ObservedCluster } from '../controller/contract.ts'
import { createFleet } from '../fleet/registry.ts'
import { parseClusters } from './cluster-files.ts'
import { LocalDriver } from './local-driver.ts'
import { StateDirectory } from './state-directory.ts'

const KEY = 'here/test'
const SERVES = `setInterval(() => {}, 1000)
process.on('SIGTERM', () => process.exit(0))
console.log(JSON.stringify({ level: 40, msg: 'up' }))`
const CRASHES = `console.error('Error: the moon is in the way')
process.exit(7)`

const file = `apiVersion: turnfleet.dev/v1alpha1
kind: TurnCluster
metadata: {name: test, namespace: here}
spec:
  realm: turn.example.org
  listeners: [{name: udp, protocol: UDP, port: 24478}, {name: tls, protocol: TLS, port: 24479}]
  tls: {secretName: test-tls}
`

/** A driver whose relays are a small program in place of the relay. */
function harness(t: TestContext, program: string) {
  const directory = mkdtempSync(join(tmpdir(), 'turnfleet-driver-'))
  const relayMain = join(directory, 'program.mjs')
  writeFileSync(relayMain, program)
  const state = new StateDirectory(join(directory, 'state'))
  const said: string[] = []
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const look of waiting) look()
  }
  const driver = new LocalDriver({
    state,
    fleet: createFleet({ checker: () => Promise.reject(new Error('unused')) }),
    operatorUrl: () => 'http://127.0.0.1:9',
    node: () => ({
      name: 'machine',
      ready: true,
      annotatedAddresses: ['127.0.0.1'],
      externalAddresses: [],
      internalAddresses: [],
    }),
    version: '1',
    relayMain,
    nowMs: Date.now,
    onChange: wake,
    say: (message) => {
      said.push(message)
      wake()
    },
  })
  t.after(async () => {
    await driver.endAll()
    rmSync(directory, { recursive: true, force: true })
  })
  const [cluster] = parseClusters('f.yaml', file).clusters
  assert.ok(cluster)
  driver.setCluster(cluster)
  const observe = async (): Promise<ObservedCluster> => {
    const observed = await driver.observe(KEY)
    assert.ok(observed)
    return observed
  }
  const act = async (action: Action) => driver.apply(await observe(), action)
  const until = (done: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!done()) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
    })
  return { driver, state, said, observe, act, until, cluster }
}

const why = { reason: 'Test', message: 'test' }
const create = (ordinal: number): Action => ({
  ...why,
  kind: 'create-relay',
  name: `test-${ordinal}-0a1b2c3d`,
  ordinal,
})

test('key ring and certificate are made once, for the eyes of their owner only', async (t) => {
  const { observe, act, state, cluster } = harness(t, SERVES)
  assert.equal((await observe()).keyRing.state, 'absent')
  await act({ ...why, kind: 'create-key-ring' })
  const [first, second] = [await observe(), await observe()]
  assert.ok(first.keyRing.state === 'valid' && second.keyRing.state === 'valid')
  assert.deepEqual(first.keyRing, second.keyRing)
  assert.ok(first.tls?.state === 'valid' && second.tls?.state === 'valid')
  assert.equal(first.tls.value.fingerprint, second.tls.value.fingerprint)
  assert.ok(first.tls.value.names.includes('127.0.0.1'))
  const keys = state.secret('here', 'test-turn-keys', 'keys.yaml')
  for (const path of [keys, state.secret('here', 'test-tls', 'tls.key')]) {
    assert.equal(statSync(path).mode & 0o777, 0o600)
  }
  writeFileSync(keys, 'keys: [')
  const torn = await observe()
  assert.ok(torn.keyRing.state === 'malformed' && torn.keyRing.message.includes(keys))
  assert.equal(torn.cluster.metadata.uid, cluster.metadata.uid)
})

test('a relay is observed from its creation to its deletion', async (t) => {
  const { driver, observe, act, until, said, state } = harness(t, SERVES)
  await act(create(0))
  await act(create(0))
  await act(create(1))
  await until(() => said.length === 2)
  const [one, two] = (await observe()).relays
  assert.ok(one && two)
  assert.deepEqual([one.name, one.ordinal, one.revision], ['test-0-0a1b2c3d', 0, '0a1b2c3d'])
  assert.deepEqual([one.phase, one.ready, one.terminating, one.node], ['Running', false, false, 'machine'])
  const directory = state.relay('here', one.uid)
  const config = (uid: string) =>
    JSON.parse(readFileSync(join(state.relay('here', uid), 'relay.yaml'), 'utf8'))
  assert.deepEqual(config(one.uid).identity, { uid: one.uid, name: one.name, cluster: KEY })
  const ports = [one, two].flatMap(({ uid }) =>
    config(uid).listeners.map(({ port }: { port: number }) => port),
  )
  assert.equal(new Set(ports).size, 4, 'no two listeners share a port')
  assert.ok(config(one.uid).relay.ports.max < config(two.uid).relay.ports.min)
  const token = readFileSync(join(directory, 'token'), 'utf8')
  assert.deepEqual(await driver.reviewReportToken(token), { uid: one.uid, namespace: 'here' })
  assert.equal(await driver.reviewReportToken(`${token}x`), undefined)
  const addresses = [{ advertise: '203.0.113.10' }]
  await act({ ...why, kind: 'publish-addresses', relay: one.name, uid: one.uid, addresses })
  assert.deepEqual(JSON.parse(readFileSync(join(directory, 'addresses.yaml'), 'utf8')), addresses)
  await act({ ...why, kind: 'drain', relay: one.name, uid: one.uid })
  assert.equal((await observe()).relays[0]?.drain?.reason, 'Test')
  await act({ ...why, kind: 'delete-relay', relay: one.name, uid: one.uid, forced: false })
  await until(() => !existsSync(directory))
  assert.deepEqual(
    (await observe()).relays.map(({ uid }) => uid),
    [two.uid],
  )
})

test('a relay that crashes is started at once the first time, then later and later with its last words', async (t) => {
  const { observe, act, until, said } = harness(t, CRASHES)
  const crashes = () => said.filter((message) => message.includes('ended with code 7')).length
  for (const count of [1, 2]) {
    await act(create(0))
    await until(() => crashes() === count)
  }
  await act(create(0))
  const [relay] = (await observe()).relays
  assert.equal(relay?.phase, 'Pending')
  assert.equal(relay?.trouble?.reason, 'CrashLoopBackOff')
  assert.match(relay?.trouble?.message ?? '', /starts again in 1 s; .* ended with code 7: Error: the moon/)
  await until(() => crashes() === 3)
})

test('a running cluster keeps its realm', async (t) => {
  const { driver, observe, cluster } = harness(t, SERVES)
  const renamed = { ...cluster, spec: { ...cluster.spec, realm: 'other', replicas: 5 } }
  assert.match(driver.setCluster(renamed) ?? '', /here\/test cannot be changed while it runs/)
  assert.equal((await observe()).cluster.spec.replicas, 2)
  assert.equal(driver.setCluster({ ...cluster, spec: { ...cluster.spec, replicas: 5 } }), undefined)
  assert.equal((await observe()).cluster.spec.replicas, 5)
})

test('a state directory belongs to one process', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'turnfleet-state-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'standalone.pid'), '1\n')
  assert.throws(() => new StateDirectory(directory), /process 1 uses the state directory .* --state/)
  writeFileSync(join(directory, 'standalone.pid'), '999999999\n')
  new StateDirectory(directory).release()
  assert.equal(existsSync(join(directory, 'standalone.pid')), false)
})
