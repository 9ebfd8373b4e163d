import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { setInterval as every, setTimeout } from 'node:timers/promises'
import tls from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { DEFAULT_STREAM_LIMITS, type RelayIo, type StreamLimits } from '../../relay/io/io.ts'
import { PortableIo } from '../../relay/io/portable/portable-io.ts'
import { ended } from '../../relay/io/testing/ended.ts'
import { bindingRequest, channelData, readBytes } from '../../relay/io/testing/frames.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import { CREDENTIAL, LoopbackRelay } from '../support/loopback-relay.ts'
import { address, hear, request } from '../support/turn-harness.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const BINDING_ANSWER_BYTES = 32
/** The queue of a slow client and what its socket has taken. */
const HELD_BYTES_MAX = 1_000_000

/** What buffers hold. */
function heldBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

/** Collected buffers are given back on another thread, some turns of the loop later. */
async function assertHolds(before: number, most: number): Promise<void> {
  let held = heldBytes() - before
  for (let turns = 0; held > most && turns < 100; turns++) {
    await setTimeout(10)
    held = heldBytes() - before
  }
  assert.ok(held <= most, `${held} bytes`)
}

async function startRelay(
  t: TestContext,
  create: () => RelayIo,
  limits: Partial<StreamLimits>,
): Promise<LoopbackRelay> {
  const changes = { realm: 'turn.example.org', peers: { allow: ['127.0.0.0/8'] } }
  const relay = new LoopbackRelay(changes, create())
  relay.io.setStreamLimits({ ...DEFAULT_STREAM_LIMITS, ...limits })
  t.after(() => relay.io.close())
  return relay.start()
}

async function connect(t: TestContext, port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined)
  t.after(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function connectTls(
  t: TestContext,
  port: number,
  options: tls.ConnectionOptions = {},
): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  socket.on('error', () => undefined)
  t.after(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** A client that does all right is served over TCP and TLS. */
async function assertServes(t: TestContext, relay: LoopbackRelay): Promise<void> {
  for (const socket of [await connect(t, relay.ports.tcp), await connectTls(t, relay.ports.tls)]) {
    socket.write(bindingRequest())
    assert.ok(hear(await readBytes(socket, BINDING_ANSWER_BYTES)).mapped)
    socket.destroy()
  }
}

async function dribble(socket: net.Socket, bytes: Uint8Array): Promise<void> {
  let sent = 0
  for await (const _ of every(20)) {
    if (socket.destroyed || sent === bytes.length) return
    socket.write(bytes.subarray(sent, ++sent))
  }
}

/** The first flight of a real client. */
async function clientHello(t: TestContext): Promise<Buffer> {
  const server = net.createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.after(() => server.close())
  const client = tls.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1' })
  client.on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  const [hello] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  return hello
}

for (const [datapath, create] of Object.entries(await datapaths())) {
  describe(`Streams of the ${datapath} data path`, () => streamTests(create))
}

function streamTests(create: () => RelayIo): void {
  it('RFC 8656 §21.3.1: what is slow, silent or no TURN is closed without a word, and good clients are served beside it', async (t) => {
    const relay = await startRelay(t, create, { firstMessageSeconds: 0.2 })
    const hello = await clientHello(t)
    const { tcp, tls: secure } = relay.ports
    const text = (bytes: string) => (socket: net.Socket) => socket.write(bytes)
    const longest = bindingRequest()
    longest.writeUInt16BE(0xfffc, 2)
    const strangers: readonly [name: string, port: number, behave: (socket: net.Socket) => unknown][] = [
      ['silence', tcp, () => undefined],
      ['silence where TLS is expected', secure, () => undefined],
      ['a byte every so often', tcp, (socket) => dribble(socket, bindingRequest())],
      ['a ClientHello byte by byte', secure, (socket) => dribble(socket, hello)],
      ['half a ClientHello', secure, (socket) => socket.write(hello.subarray(0, hello.length >> 1))],
      ['a length of 65,532 without a body', tcp, (socket) => socket.write(longest)],
      ['ChannelData of 65,535 bytes before any STUN', tcp, text('\u0040\u0000\u00ff\u00ff')],
      ['HTTP', tcp, text('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')],
      ['HTTP/2', secure, text('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
      ['an HTTP proxy request', tcp, text('CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n')],
      ['SSH', secure, text('SSH-2.0-x\r\n')],
      ['PROXY from where none is expected', tcp, text('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n')],
      ['a TLS alert', secure, (socket) => socket.write(Buffer.from([0x15, 3, 3, 0, 2, 2, 40]))],
      ['zeros', tcp, (socket) => socket.write(Buffer.alloc(65_536))],
    ]
    await Promise.all([
      ...strangers.map(async ([name, port, behave]) => {
        const socket = await connect(t, port)
        const heard: Buffer[] = []
        socket.on('data', (data: Buffer) => heard.push(data))
        const closed = ended(socket)
        behave(socket)
        await closed
        assert.deepEqual(Buffer.concat(heard).toString('latin1'), '', `${name} was answered`)
      }),
      assertServes(t, relay),
    ])
    await assertServes(t, relay)
  })

  it('a finished handshake buys no time: HTTP over TLS and silence behind it are closed', async (t) => {
    const relay = await startRelay(t, create, { firstMessageSeconds: 0.2 })
    for (const said of ['', 'GET / HTTP/1.1\r\n\r\n']) {
      const socket = await connectTls(t, relay.ports.tls)
      const heard: Buffer[] = []
      socket.on('data', (data: Buffer) => heard.push(data))
      if (said) socket.write(said)
      await ended(socket)
      assert.deepEqual(heard, [])
    }
  })

  it('a byte every so often does not keep a stream open behind its first message', async (t) => {
    const relay = await startRelay(t, create, { idleSeconds: 0.2 })
    const socket = await connect(t, relay.ports.tcp)
    socket.write(bindingRequest())
    await readBytes(socket, BINDING_ANSWER_BYTES)
    const closed = ended(socket.resume())
    const dribbled = dribble(socket, Buffer.concat([bindingRequest(), Buffer.alloc(10_000)]).fill(0, 2, 3))
    await closed
    await dribbled
  })

  it('half-open streams of one address are bounded, and a place is free again when they are closed', async (t) => {
    const relay = await startRelay(t, create, { perAddress: 3, firstMessageSeconds: 1 })
    const halfOpen = await Promise.all([1, 2, 3].map(() => connect(t, relay.ports.tls)))
    const refused = await connect(t, relay.ports.tls)
    const closed = halfOpen.map((socket) => ended(socket.resume()))
    await ended(refused.resume())
    assert.equal(relay.io.counters.streamsOpen, 3, 'refused before a deadline closed any')
    await Promise.all(closed)
    await assertServes(t, relay)
  })

  it('CVE-2026-43994: two hundred streams that claim 65,535 bytes hold what they sent', async (t) => {
    const relay = await startRelay(t, create, { halfOpenPerAddress: 0 })
    const sockets = await Promise.all(Array.from({ length: 200 }, () => connect(t, relay.ports.tcp)))
    for (const socket of sockets) socket.write(bindingRequest())
    await Promise.all(sockets.map((socket) => readBytes(socket, BINDING_ANSWER_BYTES)))
    const before = heldBytes()
    const claim = channelData(0x4000, Buffer.alloc(65_535)).subarray(0, 100)
    for (const socket of sockets) socket.write(claim)
    // All of it has arrived once a later message of another stream is answered.
    await assertServes(t, relay)
    await assertHolds(before, sockets.length * 8192)
    assert.ok(relay.io.counters.streamsOpen >= sockets.length)
  })

  it('RFC 6066 §3: any server name is served', async (t) => {
    const relay = await startRelay(t, create, {})
    for (const servername of ['xn--nothing.example', 'a'.repeat(63), `${'a.'.repeat(120)}example`]) {
      const named = await connectTls(t, relay.ports.tls, { servername })
      named.write(bindingRequest())
      await readBytes(named, BINDING_ANSWER_BYTES)
    }
  })

  it('a client that does not read loses media, holds no memory, and costs the others nothing', async (t) => {
    const relay = await startRelay(t, create, { queueBytes: 65_536 })
    const peer = dgram.createSocket('udp4')
    t.after(() => peer.close())
    await once(peer.bind(0, '127.0.0.1'), 'listening')
    const slow = await connect(t, relay.ports.tcp)
    const relayed = await call(slow, `127.0.0.1:${peer.address().port}`)
    slow.pause()
    const before = heldBytes()
    const media = Buffer.alloc(1200)
    for (let sent = 0; relay.io.counters.clientQueueDrops < 200; sent++) {
      peer.send(media, relayed.port, '127.0.0.1')
      if (sent % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await assertServes(t, relay)
    await assertHolds(before, HELD_BYTES_MAX)
    assert.equal(relay.turn.allocationCount, 1)
  })

  /** Allocates and binds a channel to a peer; returns the relayed address. */
  async function call(socket: net.Socket, peer: string) {
    const user = { username: CREDENTIAL.username, password: CREDENTIAL.credential }
    const ask = async (bytes: Uint8Array) => {
      socket.write(bytes)
      const head = await readBytes(socket, 20)
      const rest = head.readUInt16BE(2)
      return hear(rest > 0 ? Buffer.concat([head, await readBytes(socket, rest)]) : head)
    }
    const { nonce } = await ask(request(METHOD.Allocate))
    const allocated = await ask(
      request(METHOD.Allocate, {
        user,
        nonce,
        attributes: (writer) => void writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17),
      }),
    )
    const bound = await ask(
      request(METHOD.ChannelBind, {
        user,
        nonce,
        attributes: (writer) =>
          void writer.addChannelNumber(0x4000).addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer)),
      }),
    )
    assert.equal(bound.code, 0)
    return address(allocated.relayed![0]!)
  }
}

async function datapaths(): Promise<Record<string, () => RelayIo>> {
  const portable = () => new PortableIo()
  if (process.platform !== 'linux') return { portable }
  const { LinuxIo } = await import('../../relay/io/linux/linux-io.ts')
  return { portable, batched: () => new LinuxIo() }
}
