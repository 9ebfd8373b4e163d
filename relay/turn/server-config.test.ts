import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayConfigFor } from '../../test/support/turn-harness.ts'
import { formatIp } from '../stun/address-text.ts'
import { turnServerConfig } from './server-config.ts'

test('the relay’s own addresses are what it advertises, binds, listens on and is controlled by', () => {
  const config = relayConfigFor({
    listeners: [
      { protocol: 'udp', address: '10.0.0.9', port: 3478 },
      { protocol: 'tcp', address: '0.0.0.0', port: 3479 },
    ],
    relay: { addresses: [{ bind: '10.0.0.5', advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_999 } },
    control: { address: '127.0.0.1', port: 9641 },
  })
  const { peers } = turnServerConfig(config, { own: ['10.0.0.7'] })
  assert.deepEqual(peers.own.map(formatIp).sort(), [
    '10.0.0.5',
    '10.0.0.7',
    '10.0.0.9',
    '127.0.0.1',
    '192.0.2.1',
  ])
  assert.deepEqual(peers.advertised.map(formatIp), ['192.0.2.1'])
  assert.deepEqual([...peers.ownPorts].sort(), [3478, 3479, 9641])
})

test('addresses of the host take the place of those of the file, bound as they are advertised', () => {
  const { relayAddresses } = turnServerConfig(relayConfigFor(), {
    relayAddresses: [{ advertise: '192.0.2.8' }],
  })
  assert.deepEqual(
    relayAddresses.map(({ bind, advertise }) => [formatIp(bind), formatIp(advertise)]),
    [['192.0.2.8', '192.0.2.8']],
  )
})

const UNUSABLE: readonly [
  name: string,
  addresses: { bind?: string; advertise: string }[],
  message: RegExp,
][] = [
  [
    'a host name',
    [{ advertise: 'relay.example.org' }],
    /relay\.addresses\[\]\.advertise: "relay\.example\.org"/,
  ],
  ['two families', [{ bind: '10.0.0.5', advertise: '2001:db8::1' }], /different families/],
]
for (const [name, relayAddresses, message] of UNUSABLE) {
  test(`${name} as a relay address is refused with its field`, () => {
    assert.throws(() => turnServerConfig(relayConfigFor(), { relayAddresses }), message)
  })
}
