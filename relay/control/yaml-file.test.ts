import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RelayConfig, relayConfig } from '../api/config.ts'
import { FileRefused, parseYaml } from './yaml-file.ts'

const GOOD = `realm: turn.example.org
listeners:
  - {protocol: udp, address: 203.0.113.10, port: 3478}
  - protocol: tcp
    port: 443
relay:
  addresses: [{advertise: 203.0.113.10}]
limits: {allocations: 10}
`

test('a good file is read with the defaults filled in', () => {
  const config: RelayConfig = parseYaml('/etc/turnfleet/relay.yaml', GOOD, relayConfig)
  assert.equal(config.limits.allocations, 10)
  assert.equal(config.limits.allocationLifetimeSeconds, 600)
  assert.equal(config.control.port, 9641)
  assert.equal(config.drain.maxDurationSeconds, 14_400)
})

const broken: Record<string, [change: [from: string, to: string], said: RegExp]> = {
  'a value out of range': [['port: 443', 'port: 70000'], /^relay\.yaml:5: listeners\[1\]\.port: Too big/],
  'an unknown field': [
    ['limits: {', 'limits: {allocation: 3, '],
    /^relay\.yaml:8: limits\.allocation: there is no such field$/,
  ],
  'a missing field': [['realm: turn.example.org\n', ''], /^relay\.yaml:1: realm: is missing$/],
  'a missing field of a list entry': [
    ['protocol: tcp\n    ', ''],
    /^relay\.yaml:4: listeners\[1\]\.protocol: /,
  ],
  'a wrong type': [
    ['allocations: 10', 'allocations: many'],
    /^relay\.yaml:8: limits\.allocations: Invalid input: expected/,
  ],
  'a host name for an address': [
    ['address: 203.0.113.10', 'address: turn.example.org'],
    /^relay\.yaml:3: listeners\[0\]\.address: must be a literal IP address$/,
  ],
  'broken YAML': [['realm: turn', 'realm: [turn'], /^relay\.yaml:\d+: not valid YAML: /],
  'a key given twice': [
    ['limits:', 'realm: again\nlimits:'],
    /^relay\.yaml:8: not valid YAML: Map keys must be unique/,
  ],
  'an alias without an anchor': [
    ['limits: {allocations: 10}', 'limits: *usual'],
    /^relay\.yaml:8: not valid YAML: Unresolved alias/,
  ],
  'aliases that multiply': [
    [
      'limits: {allocations: 10}',
      `a: &a [${'x,'.repeat(9)}]\n${[...'bcdefgh'].map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]},`.repeat(9)}]\n`).join('')}`,
    ],
    /^relay\.yaml:\d+: not valid YAML: Excessive alias count/,
  ],
  'TLS without a certificate': [
    ['protocol: tcp', 'protocol: tls'],
    /^relay\.yaml:4: listeners\[1\]\.protocol: a tls listener needs/,
  ],
  'the same listener twice': [
    ['  - protocol: tcp', '  - {protocol: udp, address: 203.0.113.10, port: 3478}\n  - protocol: tcp'],
    /^relay\.yaml:4: listeners\[1\]: is the same as listeners\[0\]$/,
  ],
  'an empty port range': [
    ['relay:\n', 'relay:\n  ports: {min: 2, max: 1}\n'],
    /^relay\.yaml:7: relay\.ports: min 2 is above max 1$/,
  ],
  'an unreachable public address': [
    ['advertise: 203.0.113.10', "advertise: '::'"],
    /^relay\.yaml:7: relay\.addresses\[0\]\.advertise: must be an address that clients/,
  ],
  'a list instead of a file': [[GOOD, '- 1'], /^relay\.yaml:1: Invalid input: expected object/],
  nothing: [[GOOD, ''], /^relay\.yaml:1: realm: is missing\nrelay\.yaml:1: listeners: is missing/],
}

for (const [name, [[from, to], said]] of Object.entries(broken)) {
  test(`${name} is refused with line and field`, () => {
    const text = GOOD.replace(from, to)
    assert.notEqual(text, GOOD)
    assert.throws(
      () => parseYaml('/etc/turnfleet/relay.yaml', text, relayConfig),
      (error) => {
        assert.ok(error instanceof FileRefused)
        assert.match(error.message, said)
        return true
      },
    )
  })
}
