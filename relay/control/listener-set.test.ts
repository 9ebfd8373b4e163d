import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ListenerOptions, RelayIo } from '../io/io.ts'
import { wantedListeners, withBinds } from './host-addresses.ts'
import { ListenerSet } from './listener-set.ts'

function setUp() {
  const calls: string[] = []
  const refused = new Set<number>()
  const ports: number[] = []
  const io = {
    listen: async (options: ListenerOptions) => {
      if (refused.has(options.port)) throw new Error(`port ${options.port} is taken`)
      calls.push(`listen ${options.protocol} ${options.port}`)
      return { ...options, id: ports.push(options.port) }
    },
    closeListener: async (closed: number) => {
      calls.push(`close ${closed}`)
      refused.delete(ports[closed - 1]!)
    },
  } as unknown as RelayIo
  return { set: new ListenerSet(io), calls, refused }
}

const on = (protocol: 'udp' | 'tcp' | 'tls', port: number): ListenerOptions => ({
  protocol,
  address: '127.0.0.1',
  port,
})

test('what is new is opened before what is gone is closed, and the rest is left alone', async () => {
  const { set, calls } = setUp()
  assert.equal(set.complete, false)
  await set.reconcile([on('udp', 1), on('tcp', 2)])
  assert.equal(set.complete, true)
  await set.reconcile([on('udp', 1), on('tls', 2)])
  assert.deepEqual(calls, ['listen udp 1', 'listen tcp 2', 'listen tls 2', 'close 2'])
})

test('a listener that cannot be had is named, keeps none of the others back, and is tried again', async () => {
  const { set, refused } = setUp()
  refused.add(1)
  assert.deepEqual(await set.reconcile([on('udp', 1), on('tcp', 2)]), ['port 1 is taken'])
  assert.equal(set.complete, false)
  assert.equal(set.bound.length, 1)
  refused.clear()
  assert.deepEqual(await set.reconcile([on('udp', 1), on('tcp', 2)]), [])
  assert.equal(set.complete, true)
})

test('a listener that an old one stands in the way of is opened once that is closed', async () => {
  const { set, calls, refused } = setUp()
  await set.reconcile([{ protocol: 'udp', address: '0.0.0.0', port: 1 }])
  refused.add(1)
  assert.deepEqual(await set.reconcile([on('udp', 1)]), [])
  assert.deepEqual(calls, ['listen udp 1', 'close 1', 'listen udp 1'])
})

test('an address binds to itself where the host has it, else to all of its family', () => {
  const addresses = withBinds(
    [
      { advertise: '203.0.113.1' },
      { advertise: '203.0.113.2' },
      { advertise: '2001:db8::1' },
      { bind: '10.0.0.5', advertise: '203.0.113.3' },
    ],
    ['203.0.113.1', '127.0.0.1'],
  )
  assert.deepEqual(
    addresses.map(({ bind }) => bind),
    ['203.0.113.1', '0.0.0.0', '::', '10.0.0.5'],
  )
})

test('listeners without an address are bound on every one of the relay, each port once', () => {
  const wanted = (...binds: string[]) =>
    wantedListeners(
      {
        listeners: [
          { protocol: 'udp', port: 3478 },
          { protocol: 'tcp', address: '127.0.0.1', port: 80 },
        ],
      },
      binds.map((bind) => ({ bind, advertise: '203.0.113.9' })),
    ).map(({ protocol, address, port }) => `${protocol} ${address} ${port}`)
  assert.deepEqual(wanted('203.0.113.1', '203.0.113.2', '2001:db8::1'), [
    'udp 203.0.113.1 3478',
    'udp 203.0.113.2 3478',
    'udp 2001:db8::1 3478',
    'tcp 127.0.0.1 80',
  ])
  assert.deepEqual(wanted('203.0.113.1', '0.0.0.0', '2001:db8::1'), [
    'udp 0.0.0.0 3478',
    'udp 2001:db8::1 3478',
    'tcp 127.0.0.1 80',
  ])
})

test('NAT discovery listens for UDP on both addresses and both ports, each once (RFC 5780 §6)', () => {
  const wanted = wantedListeners(
    {
      listeners: [{ protocol: 'udp', port: 3478 }],
      natDiscovery: {
        addresses: [{ advertise: '203.0.113.1' }, { bind: '10.0.0.2', advertise: '203.0.113.2' }],
        ports: [3478, 3479],
      },
    },
    [{ bind: '203.0.113.1', advertise: '203.0.113.1' }],
  )
  assert.deepEqual(
    wanted.map(({ protocol, address, port }) => `${protocol} ${address} ${port}`),
    ['udp 203.0.113.1 3479', 'udp 10.0.0.2 3478', 'udp 10.0.0.2 3479', 'udp 203.0.113.1 3478'],
  )
})

test('NAT discovery on the addresses of the relay listens where it has two, and nowhere else', () => {
  const wanted = (...binds: string[]) =>
    wantedListeners(
      { listeners: [{ protocol: 'udp', port: 3478 }], natDiscovery: { ports: [3478, 3479] } },
      binds.map((bind) => ({ bind, advertise: bind })),
    ).map(({ address, port }) => `${address} ${port}`)
  assert.deepEqual(wanted('203.0.113.1', '203.0.113.2'), [
    '203.0.113.1 3479',
    '203.0.113.2 3479',
    '203.0.113.1 3478',
    '203.0.113.2 3478',
  ])
  assert.deepEqual(wanted('203.0.113.1', '2001:db8::1'), ['203.0.113.1 3478', '2001:db8::1 3478'])
})

test('the balancers of a listener are those of each of its addresses', () => {
  const listeners = [{ protocol: 'udp' as const, port: 3478, proxyProtocol: { from: ['10.0.0.0/8'] } }]
  const addresses = ['203.0.113.1', '2001:db8::1'].map((bind) => ({ bind, advertise: bind }))
  for (const wanted of wantedListeners({ listeners }, addresses)) {
    assert.deepEqual(wanted.proxyFrom, ['10.0.0.0/8'])
  }
})

test('a listener that balancers are named for anew is bound anew', async () => {
  const { set, calls } = setUp()
  await set.reconcile([{ ...on('udp', 1), proxyFrom: ['10.0.0.1'] }])
  await set.reconcile([{ ...on('udp', 1), proxyFrom: ['10.0.0.1'] }])
  assert.deepEqual(calls, ['listen udp 1'])
  await set.reconcile([{ ...on('udp', 1), proxyFrom: ['10.0.0.2'] }])
  assert.deepEqual(calls, ['listen udp 1', 'listen udp 1', 'close 1'])
})
