import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { Duplex } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { selfSigned } from '../../testing/certificate.ts'
import { ended } from '../../testing/ended.ts'
import { bindingRequest, channelData, readBytes } from '../../testing/frames.ts'
import { started, tcpClient } from '../../testing/setup.ts'
import { LinuxIo } from '../linux-io.ts'
import { openSessions } from '../openssl/tls-session.ts'
import { limitDescriptors } from '../testing/descriptor-limit.ts'
import { TcpSocket, TcpSocketFactory } from './tcp-socket.ts'

const material = await selfSigned('relay.example.org')

/** A relay that sends everything back to whoever sent it. */
async function echoing(t: TestContext) {
  const { io, seen } = started(t, () => new LinuxIo())
  seen.onClientData = (link, from, buffer, offset, length) =>
    io.sendToClient(link, from, buffer, offset, length)
  io.setTls(material)
  const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
  return { io, seen, port }
}

async function tlsClient(t: TestContext, port: number): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.on('error', () => undefined)
  t.after(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

describe('streams of LinuxIo', { timeout: 30_000 }, () => {
  it('give back every descriptor and every session of OpenSSL, however they end', async (t) => {
    const { io, seen, port } = await echoing(t)
    const before = [descriptors(), openSessions()]
    const clients = [
      ...(await Promise.all(Array.from({ length: 10 }, () => tcpClient(t, port)))),
      ...(await Promise.all(Array.from({ length: 10 }, () => tlsClient(t, port)))),
    ]
    for (const client of clients) {
      client.write(bindingRequest())
      await readBytes(client, 20)
    }
    const stalled = await tcpClient(t, port)
    stalled.write(Buffer.from([0x16, 3, 1, 2, 0, 1]))
    const links = seen.streams()
    await seen.until(() => io.counters.streamsOpen === 21)
    clients[0]!.destroy()
    clients[1]!.resetAndDestroy()
    clients[2]!.end()
    clients[3]!.write('no frame')
    io.closeLink(links[4]!.id)
    clients[10]!.destroy()
    clients[11]!.write('no frame')
    io.closeLink(links[12]!.id)
    for (const client of clients) client.resume()
    stalled.destroy()
    await seen.until(() => seen.closedLinks.length === 8)
    const gone = clients.filter((_, i) => ![0, 1, 2, 3, 4, 10, 11, 12].includes(i)).map(ended)
    await io.close()
    await Promise.all([...gone, ...clients.map((client) => client.destroy())])
    assert.ok(descriptors() <= before[0]!, `${descriptors()} descriptors`)
    assert.equal(openSessions(), before[1])
    assert.equal(io.counters.streamsOpen, 0)
  })

  it('wait while descriptors have run out, without a busy loop, and are accepted after that', async (t) => {
    const { io, seen, port } = await echoing(t)
    const script = `
      process.stdin.once('data', () => {
        const socket = require('node:net').connect(${port}, '127.0.0.1')
        socket.write(Buffer.from('${bindingRequest().toString('hex')}', 'hex'))
      })
      console.log('ready')`
    const client = spawn(process.execPath, ['-e', script])
    t.after(() => void client.kill())
    await once(client.stdout, 'data')
    const attempts: number[] = []
    const { accept } = TcpSocketFactory.prototype
    t.mock.method(
      TcpSocketFactory.prototype,
      'accept',
      function (this: TcpSocketFactory, ...args: Parameters<typeof accept>) {
        attempts.push(io.now())
        return accept.apply(this, args)
      },
    )
    const lift = limitDescriptors(0)
    t.after(lift)
    client.stdin.write('go')
    while (attempts.length < 3) await new Promise((resolve) => setTimeout(resolve, 10))
    lift()
    assert.ok(attempts[2]! - attempts[0]! >= 150, `attempts at ${attempts}`)
    assert.equal(io.counters.streamsOpen, 0)
    await seen.until(() => seen.client.length === 1)
  })

  it('carry frames of every size over TLS, in records that hold several', async (t) => {
    const { port } = await echoing(t)
    const client = await tlsClient(t, port)
    const sizes = [0, 1, 3, 160, 1200, 16_380, 16_384, 40_000, 65_535]
    const sent = Buffer.concat([
      bindingRequest(),
      ...sizes.map((size) => channelData(0x4000, randomBytes(size))),
    ])
    client.write(sent)
    assert.ok((await readBytes(client, sent.length)).equals(sent))
  })

  it('keep their order and lose nothing small while more clients send than may gather at once', async (t) => {
    const { port } = await echoing(t)
    const clients = await Promise.all(Array.from({ length: 100 }, () => tcpClient(t, port)))
    const sent = Buffer.concat([
      bindingRequest(),
      ...Array.from({ length: 200 }, (_, i) => channelData(0x4000, randomBytes(i))),
    ])
    for (const client of clients) client.write(sent)
    for (const client of clients) assert.ok((await readBytes(client, sent.length)).equals(sent))
  })

  it('end, and nobody else, when a record was changed on the way', async (t) => {
    const { io, seen, port } = await echoing(t)
    const [raw, other] = [await tcpClient(t, port), await tlsClient(t, port)]
    let change = false
    const way = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        const bytes = Buffer.from(chunk)
        if (change) bytes[bytes.length - 1]! ^= 1
        raw.write(bytes, () => done())
      },
    })
    raw.on('data', (data) => way.push(data))
    const client = tls.connect({ socket: way, rejectUnauthorized: false })
    client.on('error', () => undefined)
    await once(client, 'secureConnect')
    client.write(bindingRequest(1))
    await readBytes(client, 20)
    change = true
    client.write(bindingRequest(2))
    await ended(raw)
    await seen.until(() => io.counters.streamsOpen === 1)
    other.write(bindingRequest(3))
    assert.deepEqual(await readBytes(other, 20), bindingRequest(3))
    assert.equal(seen.client.length, 2)
  })

  it('wait for the system where it takes nothing of a frame, and hold nobody up', async (t) => {
    const { io, seen, port } = await echoing(t)
    const client = await tcpClient(t, port)
    client.write(bindingRequest(1))
    await readBytes(client, 20)
    const { id, remote } = seen.streams()[0]!
    let attempts = 0
    const full = t.mock.method(TcpSocket.prototype, 'send', () => {
      assert.ok(++attempts < 1000, 'it tries again and again')
      return 0
    })
    const frames = [2, 3, 4].map(bindingRequest)
    for (const frame of frames) {
      if (frame === frames.at(-1)) full.mock.restore()
      io.sendToClient(id, remote!, frame, 0, frame.length)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(await readBytes(client, 60), Buffer.concat(frames))
  })

  it('are read to their end where the end came with the last bytes', async (t) => {
    const { seen, port } = await echoing(t)
    const client = await tcpClient(t, port)
    const sent = Buffer.concat([
      bindingRequest(),
      ...Array.from({ length: 8 }, () => channelData(0x4000, randomBytes(60_000))),
    ])
    const [received] = await Promise.all([
      readBytes(client, sent.length),
      once(client, 'end'),
      client.end(sent),
    ])
    assert.ok(received.equals(sent))
    await seen.until(() => seen.closedLinks.length === 1)
  })

  it('drop the oldest media of a TLS client that reads too slowly, and the stream stays whole', async (t) => {
    const { io, seen, port } = await echoing(t)
    seen.onClientData = () => undefined
    const client = await tlsClient(t, port)
    client.pause().write(bindingRequest())
    await seen.until(() => seen.streams().length === 1)
    const { id, remote } = seen.streams()[0]!
    const payload = Buffer.alloc(1200)
    let sent = 0
    while (io.counters.clientQueueDrops < 100) {
      payload.writeUInt32BE(sent++)
      const frame = channelData(0x4001, payload)
      io.sendToClient(id, remote!, frame, 0, frame.length)
      if (sent % 32 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const drops = io.counters.clientQueueDrops
    const numbers: number[] = []
    while (numbers.at(-1) !== sent - 1) {
      const frame = await readBytes(client, 1204)
      assert.equal(frame.readUInt32BE(0), 0x400104b0)
      numbers.push(frame.readUInt32BE(4))
    }
    assert.equal(numbers.length + drops, sent)
  })
})
