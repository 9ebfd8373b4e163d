import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describeRelayIo } from '../conformance.ts'
import type { RelayIo } from '../io.ts'
import { bindingRequest, readBytes } from '../testing/frames.ts'
import { literal, started, tcpClient, udpPeer } from '../testing/setup.ts'
import { LinuxIo } from './linux-io.ts'
import { freeAddress } from './testing/free-address.ts'

const create = () => new LinuxIo()

describeRelayIo('LinuxIo', create)

describe('LinuxIo', () => {
  it('leaves no descriptor open, wherever it is when it is closed', async (t) => {
    const round = async (work: number) => {
      const { io, seen } = started(t, create)
      if (work > 0) {
        const { port } = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
        for (let relay = 0; relay < 20; relay++)
          io.bindRelay(relay, literal('127.0.0.1', 0), { dontFragment: relay % 2 === 0 })
        await assert.rejects(io.listen({ protocol: 'udp', address: '127.0.0.1', port }))
        io.bindRelay(99, literal('192.0.2.77', 0), { dontFragment: false })
        await seen.until(() => seen.bound.length === 20 && seen.failed.length === 1)
        io.closeRelay(3)
      }
      await io.close()
    }
    await round(1)
    const before = descriptors()
    for (let i = 0; i < 10; i++) await round(i % 2)
    assert.equal(descriptors(), before)
  })

  it('may be closed from within a batch', async (t) => {
    const { io, seen } = started(t, create)
    const { port } = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
    const client = await udpPeer(t)
    const before = descriptors()
    const closed = new Promise<void>((resolve) => {
      seen.onClientData = () => resolve(io.close())
    })
    for (let i = 0; i < 100; i++) client.socket.send('x', port, '127.0.0.1')
    await closed
    assert.equal(seen.client.length, 1, 'nothing is handed over after the listener has gone')
    assert.ok(descriptors() < before)
  })

  it('keeps streams, timers and promises going beside an endless flow of datagrams', async (t) => {
    const { io, seen } = started(t, create)
    const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
    const stop = await startPingPong(io, seen)
    t.after(stop)
    seen.onClientData = (link, from, buffer, offset, length) =>
      io.sendToClient(link, from, buffer, offset, length)
    const start = performance.now()
    const client = await tcpClient(t, port)
    for (let i = 1; i <= 50; i++) {
      client.write(bindingRequest(i))
      assert.deepEqual(await readBytes(client, 20), bindingRequest(i))
      await new Promise((resolve) => setTimeout(resolve, 1))
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(seen.peer.length > 1000, 'the datagrams flowed')
    assert.ok(performance.now() - start < 5_000)
  })

  it('wakes from rest for a datagram, for a bind and for its deadline', async (t) => {
    const { io, seen } = started(t, create)
    const { port } = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
    const client = await udpPeer(t)
    for (let round = 1; round <= 3; round++) {
      await new Promise((resolve) => setTimeout(resolve, 60))
      client.socket.send('x', port, '127.0.0.1')
      await seen.until(() => seen.client.length === round)
      await new Promise((resolve) => setTimeout(resolve, 60))
      io.bindRelay(round, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length === round)
      const asked = io.now()
      io.wakeAt(asked + 60)
      await seen.until(() => seen.wakes === round)
      assert.ok(io.now() >= asked + 60)
    }
  })

  it('does not keep a process from ending', async () => {
    const module = fileURLToPath(new URL('./linux-io.ts', import.meta.url))
    const script = `
      const { LinuxIo } = await import(${JSON.stringify(module)})
      const io = new LinuxIo()
      io.start({ batchEnd() {}, linkOpened() {}, linkClosed() {} })
      await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
      process.on('exit', () => console.log('ended'))
      setTimeout(() => process.exit(0), 50)`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 10_000,
    })
    assert.equal(stdout, 'ended\n')
  })
})

/** Two relay sockets that send each other datagrams for ever; returns what ends it. */
async function startPingPong(io: RelayIo, seen: ReturnType<typeof started>['seen']): Promise<() => void> {
  const [one, two] = await Promise.all([freeAddress(), freeAddress()])
  io.bindRelay(1, one, { dontFragment: false })
  io.bindRelay(2, two, { dontFragment: false })
  await seen.until(() => seen.bound.length === 2)
  let going = true
  seen.onPeerData = (relay, from, buffer, offset, length) => {
    if (going) io.sendToPeer(relay, from, buffer, offset, length)
  }
  for (let i = 0; i < 32; i++) io.sendToPeer(1, two, Buffer.from([i]), 0, 1)
  return () => {
    going = false
  }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}
