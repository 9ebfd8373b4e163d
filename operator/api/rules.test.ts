import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokenRules } from './rules.ts'
import { type TurnClusterSpecInput, turnClusterSpec } from './turn-cluster.ts'

const broken = (spec: Partial<TurnClusterSpecInput>) =>
  brokenRules(turnClusterSpec.parse({ realm: 'turn.example.org', ...spec }))

test('a minimal spec breaks no rule', () => {
  assert.deepEqual(broken({}), [])
})

test('a range that is too small is told with its numbers', () => {
  assert.deepEqual(broken({ network: { relayPorts: { min: 50_000, max: 50_999 } } }), [
    'network.relayPorts holds 1000 ports, fewer than limits.allocationsPerRelay (4000): widen the range or lower the limit',
  ])
})

test('TCP listeners may lie inside the relay range, which is UDP, and TLS and TCP may share a port', () => {
  const tls = { secretName: 'turn-tls' }
  assert.deepEqual(broken({ tls, listeners: [{ name: 'tcp', protocol: 'TCP', port: 50_000 }] }), [])
  const listeners = [
    { name: 'tcp', protocol: 'TCP' as const, port: 443 },
    { name: 'tls', protocol: 'TLS' as const, port: 443 },
  ]
  assert.deepEqual(broken({ tls, listeners }), [])
})

test('a realm cannot bring a line, a quote or a backslash into a configuration file', () => {
  for (const realm of ['a\nb: c', 'a"b', 'a\\b', 'a\u0000', 'ä', ' a', 'a ']) {
    assert.equal(broken({ realm }).length, 1, JSON.stringify(realm))
  }
  for (const realm of ['turn.example.org', 'Example Realm 1', 'a'])
    assert.deepEqual(broken({ realm }), [], realm)
})

test('addresses and CIDRs of both families are peers, names are not', () => {
  const allow = ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::1']
  assert.deepEqual(broken({ peers: { mode: 'Private', allow } }), [])
  for (const entry of ['example.org', '10.0.0.0/33', '10.0.0', '2001:db8::/129', '']) {
    assert.equal(broken({ peers: { deny: [entry] } }).length, 1, entry)
  }
})
