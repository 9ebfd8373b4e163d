import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayConfig } from '../../relay/api/config.ts'
import { brokenRules } from '../api/rules.ts'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { relayConfigFor } from './relay-config.ts'

const PLACE = {
  keysFile: '/keys.yaml',
  addressesFile: '/addresses',
  tls: { certFile: '/tls.crt', keyFile: '/tls.key' },
}
const TLS = { secretName: 'turn-tls' }

test('the configuration is one that a relay takes, with every limit of the spec in it', () => {
  const limits = {
    allocationsPerUser: 3,
    allocationsPerAddress: 4,
    permissionsPerAllocation: 5,
    channelsPerAllocation: 6,
    newPeersPerSecondPerAllocation: 7,
    bytesPerSecondPerAllocation: 1,
    packetsPerSecondPerAllocation: 2,
    streamsPerAddress: 8,
    halfOpenStreamsPerAddress: 9,
    peerConnections: 10,
    peerConnectionsPerAllocation: 11,
    pendingPeerConnectionsPerAllocation: 12,
  }
  assert.deepEqual(
    Object.keys(turnCluster().spec.limits).toSorted(),
    ['allocationsPerRelay', ...Object.keys(limits)].toSorted(),
  )
  const spec = {
    limits: { allocationsPerRelay: 50, ...limits },
    peers: { mode: 'Private' as const, allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'], tcp: true },
    drain: { maxDuration: '10m' },
    datapath: 'Portable' as const,
    network: { dscp: 'Clear' as const },
  }
  const config = relayConfig.parse(relayConfigFor(turnCluster(spec), PLACE))
  assert.equal(config.limits.allocations, 50)
  assert.deepEqual({ ...config.limits, ...limits }, config.limits)
  assert.deepEqual(config.peers.allow, ['10.0.0.0/8'])
  assert.equal(config.peers.mode, 'private')
  assert.equal(config.peers.tcp, true)
  assert.equal(config.drain.maxDurationSeconds, 600)
  assert.equal(config.datapath, 'portable')
  assert.equal(config.dscp, 'clear')
  assert.equal(config.relay.addressesFile, '/addresses')
})

test('third-party authorization goes to the relay, and names that make too large an answer go no further', () => {
  const named = (serverName: string) => turnCluster({ credentials: { thirdParty: { serverName } } })
  const config = relayConfig.parse(relayConfigFor(named('turn1'), PLACE))
  assert.equal(config.credentials.thirdParty?.serverName, 'turn1')
  const { spec } = named('s'.repeat(35))
  assert.match(brokenRules(spec).join(), /36 characters together/)
  const most = { ...spec, realm: 'r' }
  assert.deepEqual(brokenRules(most), [])
  assert.ok(relayConfig.safeParse(relayConfigFor({ spec: most }, PLACE)).success)
})

test('the certificate is named where a TLS listener needs it, and only there', () => {
  assert.equal(relayConfigFor(turnCluster(), PLACE).tls, undefined)
  const config = relayConfigFor(turnCluster({ tls: TLS }), PLACE)
  assert.deepEqual(config.tls, PLACE.tls)
  assert.deepEqual(config.listeners.at(-1), { protocol: 'tls', port: 443 })
})

test('a TLS listener serves plain TCP on its port, so that a TCP listener there is not opened again', () => {
  const listeners = [
    { name: 'tcp', protocol: 'TCP' as const, port: 443 },
    { name: 'tls', protocol: 'TLS' as const, port: 443 },
    { name: 'udp', protocol: 'UDP' as const, port: 443 },
  ]
  assert.deepEqual(relayConfigFor(turnCluster({ tls: TLS, listeners }), PLACE).listeners, [
    { protocol: 'tls', port: 443 },
    { protocol: 'udp', port: 443 },
  ])
})

test('the load balancers of a listener are told to the relay', () => {
  const proxyProtocol = { from: ['10.0.0.0/8', '2001:db8::1'] }
  const listeners = [{ name: 'udp', protocol: 'UDP' as const, port: 443, proxyProtocol }]
  assert.deepEqual(relayConfig.parse(relayConfigFor(turnCluster({ listeners }), PLACE)).listeners, [
    { protocol: 'udp', port: 443, proxyProtocol },
  ])
})

test('a DTLS listener has the certificate, beside UDP on its port', () => {
  const listeners = [
    { name: 'udp', protocol: 'UDP' as const, port: 3478 },
    { name: 'dtls', protocol: 'DTLS' as const, port: 3478 },
  ]
  const config = relayConfig.parse(relayConfigFor(turnCluster({ tls: TLS, listeners }), PLACE))
  assert.deepEqual(config.listeners, [
    { protocol: 'udp', port: 3478 },
    { protocol: 'dtls', port: 3478 },
  ])
  assert.deepEqual(config.tls, PLACE.tls)
})

test('NAT discovery is on the port of the first UDP listener and the alternate one, not where relays share a machine', () => {
  const cluster = turnCluster({ natDiscovery: { alternatePort: 3479 } })
  const { natDiscovery } = relayConfig.parse(relayConfigFor(cluster, PLACE))
  assert.deepEqual(natDiscovery, { ports: [3478, 3479] })
  const shared = { ...PLACE, listeners: [{ protocol: 'UDP' as const, port: 3480 }] }
  assert.equal(relayConfigFor(cluster, shared).natDiscovery, undefined)
  assert.equal(relayConfigFor(turnCluster(), PLACE).natDiscovery, undefined)
})

test('relays that share a machine get ports of their own', () => {
  const listeners = [{ protocol: 'UDP' as const, port: 3480 }]
  const config = relayConfigFor(turnCluster(), {
    ...PLACE,
    listeners,
    relayPorts: { min: 50_000, max: 50_999 },
  })
  assert.deepEqual(config.listeners, [{ protocol: 'udp', port: 3480 }])
  assert.deepEqual(config.relay.ports, { min: 50_000, max: 50_999 })
})
