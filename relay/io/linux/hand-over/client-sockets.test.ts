import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newIoCounters } from '../../io.ts'
import { literal } from '../../testing/setup.ts'
import { Memory } from '../memory.ts'
import { UdpListeners } from '../udp-listeners.ts'
import { UdpSocketFactory } from '../udp-socket.ts'
import type { ClientSocket } from './client-socket.ts'
import { ClientSockets } from './client-sockets.ts'

const skip = process.platform === 'linux' ? false : 'connected sockets beside a listener are for Linux'

function setUp(t: TestContext, address: string) {
  const sockets = new UdpSocketFactory(new Memory(65_536))
  const listeners = new UdpListeners({ sockets, counters: newIoCounters(), now: () => 0 })
  const options = { protocol: 'udp', address, port: 0, shared: 'first' } as const
  const listener = listeners.listen(1, 'udp', options, () => undefined)
  const open: ClientSocket[] = []
  const live = new Set<number>()
  let now = 0
  const clients = new ClientSockets({
    sockets,
    now: () => now,
    listeners: () => listeners.all(),
    clientsOf: () => [],
    hasClient: (_listener, { port }) => live.has(port),
    opened: (socket) => open.push(socket),
    closed: (socket) => {
      open.splice(open.indexOf(socket), 1)
      socket.socket.close()
    },
  })
  t.after(() => {
    clients.closeAll()
    listener.socket.close()
  })
  const pass = (ms: number) => {
    now += ms
    clients.tick(now)
  }
  return { sockets, listener, clients, open, live, pass }
}

for (const address of ['127.0.0.1', '::1']) {
  test(`a socket of a client has the address of the listener, and its end (${address})`, { skip }, (t) => {
    const { clients, listener, open, live, pass } = setUp(t, address)
    live.add(9)
    clients.adopt(listener, literal(address, 9))
    clients.adopt(listener, literal(address, 9))
    assert.equal(open.length, 1, 'one for each client')
    assert.ok(open[0]!.socket.local.equals(listener.socket.local))
    for (let i = 0; i < 10; i++) pass(2_000)
    assert.equal(clients.count, 1)
    live.clear()
    pass(2_000)
    assert.equal(clients.count, 1, 'a client that allocates anew at once finds it')
    pass(2_000)
    assert.deepEqual([clients.count, open.length, clients.deadline], [0, 0, Number.POSITIVE_INFINITY])
  })
}

test('the port of a listener is nobody else’s, also when a client has a socket there', { skip }, (t) => {
  const { sockets, clients, listener } = setUp(t, '127.0.0.1')
  clients.adopt(listener, literal('127.0.0.1', 9))
  const bind = listener.socket.local
  assert.throws(() => sockets.open({ bind, bufferBytes: 0, beside: true }), /EADDRINUSE/)
  assert.throws(() => sockets.open({ bind, bufferBytes: 0, shared: 'first' }), /EADDRINUSE/)
})
