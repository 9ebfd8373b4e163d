import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayConfig } from '../../relay/api/config.ts'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { relayConfigHash, relayConfigMap } from './config-map.ts'

const OPERATOR = { url: 'https://10.0.0.1:9443', caPem: 'PEM', serverName: 'turnfleet' }

test('the ConfigMap holds a configuration that a relay takes, and how it reaches the operator', () => {
  const map = relayConfigMap(turnCluster(), OPERATOR)
  assert.equal(map.metadata.name, 'public-relay')
  const config = relayConfig.parse(JSON.parse(map.data['relay.yaml']!))
  assert.equal(config.operator?.url, OPERATOR.url)
  assert.equal(config.operator?.serverName, 'turnfleet')
  assert.equal(map.data['operator-ca.crt'], 'PEM')
})

test('the hash follows the content, and nothing else', () => {
  const hash = relayConfigHash(turnCluster(), OPERATOR)
  assert.equal(relayConfigMap(turnCluster(), OPERATOR).metadata.annotations['turnfleet.dev/hash'], hash)
  assert.equal(relayConfigHash(turnCluster({ replicas: 7 }), OPERATOR), hash)
  assert.notEqual(relayConfigHash(turnCluster({ limits: { allocationsPerUser: 1 } }), OPERATOR), hash)
  assert.notEqual(relayConfigHash(turnCluster(), { ...OPERATOR, caPem: 'NEW' }), hash)
})
