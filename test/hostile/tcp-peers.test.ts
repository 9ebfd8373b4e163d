import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { ended } from '../../relay/io/testing/ended.ts'
import { readBytes } from '../../relay/io/testing/frames.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import { LoopbackRelay } from '../support/loopback-relay.ts'
import { TcpTurnClient } from '../support/tcp-turn-client.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const HELD_BYTES_MAX = 2_000_000
/** Buffers are given back some time after the collection that found them. */
const COLLECTIONS_MAX = 20

async function startRelay(t: TestContext, input: Partial<RelayConfigInput> = {}) {
  const relay = new LoopbackRelay({
    realm: 'turn.example.org',
    peers: { allow: ['127.0.0.0/8'], tcp: true },
    ...input,
  })
  t.after(() => relay.io.close())
  await relay.start()
  const client = await TcpTurnClient.open(t, relay.ports.tcp)
  return { relay, client, relayed: await client.allocate() }
}

/** A TCP server with the connections it got. */
async function startPeer(t: TestContext) {
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    sockets.push(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, sockets }
}

async function connectTo(t: TestContext, relayed: string): Promise<net.Socket> {
  const socket = net.connect({ port: portOf(relayed), host: '127.0.0.1' })
  socket.on('error', () => undefined)
  t.after(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

const portOf = (address: string): number => Number(address.split(':').at(-1))

test('RFC 6062 §4.3: a megabyte each way, through a connection that leaves from the relayed address and port', async (t) => {
  const { client, relayed } = await startRelay(t)
  const peer = await startPeer(t)
  const { connection } = await client.connect(peer.address)
  const data = await client.bind(connection!, 'early ')
  const [socket] = peer.sockets
  assert.deepEqual([socket!.remoteAddress, socket!.remotePort], ['127.0.0.1', portOf(relayed)])
  const [up, down] = [randomBytes(1_000_000), randomBytes(1_000_000)]
  data.write(up)
  socket!.write(down)
  const heard = await Promise.all([readBytes(socket!, up.length + 6), readBytes(data, down.length)])
  assert.ok(heard[0].equals(Buffer.concat([Buffer.from('early '), up])))
  assert.ok(heard[1].equals(down))
})

test('RFC 6062 §4.4: a peer with a permission that writes at once is heard from its first byte', async (t) => {
  const { client, relayed } = await startRelay(t)
  await client.permit('127.0.0.1:1')
  const peer = await connectTo(t, relayed)
  peer.write('hello')
  const attempt = await client.next(({ method }) => method === 'ConnectionAttempt')
  assert.equal(attempt.peer, `127.0.0.1:${peer.localPort}`)
  const data = await client.bind(attempt.connection!)
  assert.equal((await readBytes(data, 5)).toString(), 'hello')
})

test('RFC 6062 §5.3: a peer without a permission is closed at once, and nobody is told', async (t) => {
  const { relay, client, relayed } = await startRelay(t)
  const peer = await connectTo(t, relayed)
  peer.write('x'.repeat(1000))
  await ended(peer.resume())
  assert.equal(peer.bytesRead, 0)
  await client.permit('127.0.0.2:1')
  assert.deepEqual(client.heard, [])
  assert.equal(relay.turn.counters.drops['no-permission'], 1)
})

test('RFC 6062 §5.2: peers that refuse, and what the policy refuses, are answered and leave nothing', async (t) => {
  const { relay, client } = await startRelay(t)
  const { address } = await startPeer(t)
  assert.equal((await client.connect('10.0.0.1:5000')).code, 403)
  assert.equal((await client.connect('[::ffff:127.0.0.1]:5000')).code, 403)
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as net.AddressInfo
  closed.close()
  await once(closed, 'close')
  assert.equal((await client.connect(`127.0.0.1:${port}`)).code, 447)
  assert.equal((await client.connect(address)).code, 0)
  assert.equal((await client.connect(address)).code, 446)
  assert.equal(relay.turn.peerConnectionCount, 1)
})

test('a flood of peers is closed beyond the limit, and a client that comes later is served', async (t) => {
  const { relay, client, relayed } = await startRelay(t, {
    limits: { pendingPeerConnectionsPerAllocation: 4 },
  })
  await client.permit('127.0.0.1:1')
  await Promise.all(Array.from({ length: 40 }, () => connectTo(t, relayed)))
  while (relay.turn.counters.drops['connection-limit'] < 36) await client.permit('127.0.0.1:1')
  assert.equal(relay.turn.peerConnectionCount, 4)
  const peer = await startPeer(t)
  assert.equal((await client.connect(peer.address)).code, 0)
})

test('a client that reads nothing costs a bounded memory, however much its peer sends', async (t) => {
  const { client } = await startRelay(t, { limits: { bytesPerSecondPerAllocation: 0 } })
  const peer = await startPeer(t)
  const { connection } = await client.connect(peer.address)
  const data = await client.bind(connection!)
  data.pause()
  const chunk = Buffer.alloc(65_536)
  const [socket] = peer.sockets
  collectGarbage()
  const before = process.memoryUsage().arrayBuffers
  let sent = 0
  while (socket!.write(chunk)) sent += chunk.length
  for (let stalled = 0; stalled < 5; ) {
    const drained = await Promise.race([
      once(socket!, 'drain').then(() => true),
      new Promise<boolean>((resolve) => setTimeout(resolve, 30, false)),
    ])
    stalled = drained ? 0 : stalled + 1
    while (drained && socket!.write(chunk)) sent += chunk.length
  }
  const held = await heldAbove(before)
  assert.ok(held < HELD_BYTES_MAX, `${held} bytes are held of ${sent}`)
})

test('RFC 6062 §5.5: a user who is revoked loses allocation, port and data connections', async (t) => {
  const { relay, client, relayed } = await startRelay(t)
  const peer = await startPeer(t)
  const { connection } = await client.connect(peer.address)
  const data = await client.bind(connection!)
  const gone = Promise.all([ended(data.resume()), ended(peer.sockets[0]!.resume())])
  relay.turn.revoke('alice', relay.io.now())
  // What the machine says is performed at the end of the next batch.
  const other = await TcpTurnClient.open(t, relay.ports.tcp)
  await other.request(METHOD.Binding, () => undefined)
  await gone
  await assert.rejects(connectTo(t, relayed), /ECONNREFUSED/)
})

async function heldAbove(bytes: number): Promise<number> {
  let held = Number.POSITIVE_INFINITY
  for (let i = 0; i < COLLECTIONS_MAX && held >= HELD_BYTES_MAX; i++) {
    collectGarbage()
    await setImmediate()
    held = process.memoryUsage().arrayBuffers - bytes
  }
  return held
}
