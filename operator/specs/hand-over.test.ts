import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { relayConfigMap } from './config-map.ts'
import { relayPod } from './pod.ts'

const INPUTS = { image: 'turnfleet/relay:1', operatorUrl: 'https://10.0.0.1' }
const HAND_OVER = turnCluster({ update: { strategy: 'HandOver' } })
const FOLDER = '/run/turnfleet'
const succeeds = { relay: 'public-0-0000beef', node: 'node7', addresses: [{ advertise: '203.0.113.7' }] }

test('relays that hand over have a folder of the node in common, of their own cluster and user', () => {
  const { spec } = relayPod(HAND_OVER, 0, '0000cafe', INPUTS)
  const volume = spec.volumes.find(({ hostPath }) => hostPath)
  assert.deepEqual(volume?.hostPath, { path: `${FOLDER}/cluster-uid`, type: 'DirectoryOrCreate' })
  const [prepares] = spec.initContainers ?? []
  assert.match(prepares!.command.join(' '), /chown 65532:65532 \/run\/turnfleet/)
  assert.deepEqual(prepares!.securityContext.capabilities, { drop: ['ALL'], add: ['CHOWN'] })
  const mounts = [prepares!, spec.containers[0]!].map(({ volumeMounts }) =>
    volumeMounts.find(({ name }) => name === volume!.name),
  )
  for (const mount of mounts) assert.deepEqual([mount?.mountPath, mount?.readOnly], [FOLDER, false])
  const config = JSON.parse(relayConfigMap(HAND_OVER, undefined).data['relay.yaml']!)
  assert.deepEqual(config.handOver, { socket: `${FOLDER}/hand-over.sock` })
})

test('a relay that takes over starts on the node of the one before, with its addresses', () => {
  const { metadata, spec } = relayPod(HAND_OVER, 1, '0000cafe', { ...INPUTS, succeeds })
  assert.equal(spec.nodeName, 'node7')
  assert.ok(spec.containers[0]!.args.includes('--take-over'))
  assert.equal(metadata.annotations['turnfleet.dev/addresses'], '[{"advertise":"203.0.113.7"}]')
})

test('only its control port is declared, as a node takes no second pod with the same ports', () => {
  const ports = relayPod(HAND_OVER, 0, '0000cafe', INPUTS).spec.containers[0]!.ports
  assert.deepEqual(
    ports.map(({ hostIP }) => hostIP),
    ['127.0.0.1'],
  )
})

test('relays that surge share nothing with their node', () => {
  const { spec } = relayPod(turnCluster(), 0, '0000cafe', INPUTS)
  assert.deepEqual([spec.initContainers, spec.nodeName], [undefined, undefined])
  assert.ok(spec.volumes.every(({ hostPath }) => hostPath === undefined))
  assert.ok(!spec.containers[0]!.args.includes('--take-over'))
})
