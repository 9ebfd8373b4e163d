import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { disguises, INTERNAL_IPV4, INTERNAL_IPV6 } from '../support/internal-addresses.ts'
import { hear, TurnHarness } from '../support/turn-harness.ts'

function dual(input: Partial<RelayConfigInput> = {}, from = '198.51.100.7:4000') {
  const harness = new TurnHarness(input)
  const client = harness.client(from)
  const relayed = client.allocate((writer) => writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, 2))!
    .relayed!
  return { harness, client, relayed }
}

const at = (ip: string, port = 5000) => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

/** 403 on every request, nothing kept, and nothing leaves or comes in. */
function assertRefused({ harness, client, relayed }: ReturnType<typeof dual>, peer: string): void {
  assert.equal(client.permit(peer)?.code, 403, `CreatePermission ${peer}`)
  assert.equal(client.bind(0x4000, peer)?.code, 403, `ChannelBind ${peer}`)
  assert.deepEqual([harness.server.permissionCount, harness.server.channelCount], [0, 0])
  assert.equal(client.send(peer, 'x'), undefined, `Send ${peer}`)
  assert.equal(client.channelData(0x4000, 'x'), undefined)
  for (const own of relayed) assert.equal(harness.fromPeer(own, peer, 'x'), undefined, `data from ${peer}`)
}

const GROUPS: readonly [name: string, ips: readonly string[]][] = [
  ['RFC 6890: every special-purpose IPv4 block', INTERNAL_IPV4.filter((ip) => ip !== '192.0.2.7')],
  ['RFC 6890: every special-purpose IPv6 block', INTERNAL_IPV6],
  [
    'CVE-2026-27624: every IPv6 form of an internal IPv4 address',
    INTERNAL_IPV4.flatMap((ip) => disguises(ip)),
  ],
  [
    'CVE-2020-26262: what a system takes for itself',
    ['0.0.0.0', '::', '::1', ...disguises('0.0.0.0'), ...disguises('127.0.0.1')],
  ],
]
for (const [name, ips] of GROUPS) {
  test(`${name} is refused on every path`, () => {
    const relay = dual()
    for (const ip of ips) assertRefused(relay, at(ip))
    assert.deepEqual(
      relay.harness.kinds().filter((kind) => kind === 'close-relay'),
      [],
    )
  })
}

test('RFC 8656 §21.2: listener, control and bound addresses of the relay are refused, in any form', () => {
  const relay = dual({
    relay: { addresses: [{ bind: '100.64.0.9', advertise: '203.0.113.5' }, { advertise: '2001:db8::1' }] },
    listeners: [{ protocol: 'udp', address: '8.8.8.9', port: 3478 }],
    control: { address: '9.9.9.10', port: 9641 },
    peers: { hairpin: false },
  })
  const own = ['100.64.0.9', '203.0.113.5', '8.8.8.9', '9.9.9.10']
  for (const ip of own.flatMap((ip) => [ip, ...disguises(ip)])) {
    for (const port of [3478, 9641, 5000]) assertRefused(relay, at(ip, port))
  }
})

test('RFC 8656 §21.2.1: with hairpin on, the relay’s address is a peer at the ports of live allocations only', () => {
  const { harness, client } = dual()
  assert.equal(client.permit('192.0.2.1:3478')?.code, 0, 'a permission has no port')
  for (const port of [3478, 9641, 443, 0, 50_999]) {
    assert.equal(client.bind(0x4000, at('192.0.2.1', port))?.code, 403)
    assert.equal(client.send(at('192.0.2.1', port), 'x'), undefined)
  }
  assert.equal(harness.server.channelCount, 0)
})

test('ranges of the cluster that the configuration denies are refused, although an allowed range holds them', () => {
  const relay = dual({ peers: { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.96.0.0/12', 'fd00:10::/32'] } })
  for (const ip of ['10.96.0.1', '10.111.255.255', 'fd00:10::a', ...disguises('10.96.0.10')]) {
    assertRefused(relay, at(ip))
  }
  assert.equal(relay.client.permit('10.0.0.1:1')?.code, 0)
})

test('pods, Services and nodes that the operator names are refused on every path, though a wider network is allowed', () => {
  const relay = dual({
    peers: {
      allow: ['10.0.0.0/8', '203.0.113.0/24'],
      internal: ['10.96.0.0/12', '10.244.0.0/16'],
      nodes: ['203.0.113.11', '10.0.0.7'],
    },
  })
  const { harness, client, relayed } = relay
  const cluster = ['10.96.0.1', '10.96.0.10', '10.244.3.4']
  for (const ip of cluster.flatMap((each) => [each, ...disguises(each)])) assertRefused(relay, at(ip))
  assert.equal(client.permit(at('10.1.2.3'))?.code, 0, 'what is beside them is allowed')
  // A node is where another relay may be: its relay ports are peers, the kubelet and node ports are not.
  assert.equal(client.permit(at('203.0.113.11', 50_500))?.code, 0)
  for (const port of [22, 443, 6443, 10_250, 30_080]) {
    assert.equal(client.bind(0x4000, at('203.0.113.11', port))?.code, 403, String(port))
    assert.equal(client.send(at('203.0.113.11', port), 'x'), undefined, String(port))
    assert.equal(harness.fromPeer(relayed[0]!, at('203.0.113.11', port), 'x'), undefined, String(port))
  }
  assert.equal(client.send(at('203.0.113.11', 50_500), 'x')?.to, '203.0.113.11:50500')
  assert.equal(harness.fromPeer(relayed[0]!, at('203.0.113.11', 50_500), 'x')?.target, 'client')
  assert.equal(client.send(at('10.0.0.7', 10_250), 'x'), undefined)
})

test('RFC 8656 §21.2.1: a loop over relayed addresses forwards one packet for one packet', () => {
  const harness = new TurnHarness()
  const [a, b] = [harness.client('198.51.100.7:1'), harness.client('198.51.100.8:2')]
  const [ra, rb] = [a.allocate()!.relayed![0]!, b.allocate()!.relayed![0]!]
  a.bind(0x4000, ra)
  a.bind(0x4001, rb)
  b.bind(0x4000, ra)
  const toItself = a.channelData(0x4000, 'x')
  assert.deepEqual([toItself?.target, toItself?.to], ['client', a.from])
  const toOther = a.channelData(0x4001, 'x')
  assert.deepEqual([toOther?.target, toOther?.to], ['client', b.from])
  assert.deepEqual(harness.drain(), [])
})

test('what a denied peer sends is dropped although the client once talked to it', () => {
  const { harness, client, relayed } = dual({ peers: { allow: ['10.0.0.0/8'] } })
  client.permit('10.0.0.1:1')
  assert.equal(hear(harness.fromPeer(relayed[0]!, '10.0.0.1:5000', 'x')!.bytes).data, 'x')
  harness.pass(301)
  assert.equal(harness.fromPeer(relayed[0]!, '10.0.0.1:5000', 'x'), undefined)
})

test('RFC 8656 §9: port 0 is nobody’s, in an allowed network and at the relay’s own address too', () => {
  const allow = ['10.0.0.0/8', '192.0.2.1']
  const { harness, client, relayed } = dual({ peers: { allow } })
  for (const ip of ['10.0.0.1', '192.0.2.1']) {
    assert.equal(client.permit(at(ip))?.code, 0)
    assert.equal(client.bind(0x4000, at(ip, 0))?.code, 403)
    assert.equal(client.send(at(ip, 0), 'x'), undefined)
    assert.equal(harness.fromPeer(relayed[0]!, at(ip, 0), 'x'), undefined)
  }
  assert.equal(harness.server.channelCount, 0)
})
