import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { echoPeer, UdpClient } from '../../relay/testing/udp-client.ts'
import { request } from '../support/turn-harness.ts'

const SPOOFED = 100_000
/** Requests before the first look: what they compile and warm stays. */
const WARM_UP = 40_000
const SOURCES = 200
/** What is sent between two requests of the good client: its answer says that the relay has come so far. */
const BURST = 250
const STREAMS = 100
/** 160 bytes a request; coturn once held 18 KB for each. */
const RESIDENT_BYTES_MAX = 16_000_000
const DEADLINE_MS = 10_000
const ECHO_TRIES_MAX = 50
const ECHO_WAIT_MS = 200

for (const datapath of ['auto', 'portable'] as const) {
  test(`RFC 8656 §21.3.1: a relay under 100,000 forged requests and a hundred stalled streams serves on, and holds nothing of it (${datapath})`, {
    timeout: 120_000,
    skip: process.platform !== 'linux' && 'memory and descriptors are read from /proc',
  }, async (t) => {
    const relay = await started(t, datapath)
    const peer = await echoPeer()
    t.after(peer.close)
    const good = await new UdpClient({ port: relay.udpPort }).open()
    t.after(() => good.close())
    await good.allocate()
    await good.permit(peer.address)
    await flood(t, relay.udpPort, good, WARM_UP)
    const before = relay.holds()

    const stalled = await Promise.all(Array.from({ length: STREAMS }, () => stall(t, relay.tcpPort)))
    await flood(t, relay.udpPort, good, SPOOFED)
    await Promise.all(stalled)

    assert.equal(await echoOf(good, peer.address, 'still here'), 'still here')
    assert.equal((await relay.child.load()).allocations, 1)
    const came = await packetsIn(relay.child)
    assert.ok(came > SPOOFED / 2, `only ${came} packets came in`)
    await assertReturnsTo(relay.holds, before)
    t.diagnostic(`${relay.holds().residentBytes - before.residentBytes} bytes more than before`)
  })
}

async function started(t: TestContext, datapath: 'auto' | 'portable') {
  const child = new RelayChild()
  t.after(() => child.stop())
  child.writeConfig(loopbackConfig({ datapath, limits: { streamFirstMessageSeconds: 1 } }))
  child.spawn()
  const { listeners } = await child.ready()
  const portOf = (protocol: string) => listeners.find((listener) => listener.protocol === protocol)!.port
  const holds = () => ({
    descriptors: readdirSync(`/proc/${child.pid}/fd`).length,
    residentBytes:
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024,
  })
  return { child, udpPort: portOf('udp'), tcpPort: portOf('tcp'), holds }
}

/** What comes back of what is sent again until something does: the kernel drops datagrams under a flood. */
async function echoOf(client: UdpClient, peer: TransportAddress, text: string): Promise<string | undefined> {
  const echoes: Promise<string | undefined>[] = []
  for (let tries = 0; tries < ECHO_TRIES_MAX; tries++) {
    echoes.push(client.echo(peer, text))
    const heard = await Promise.race([...echoes, setTimeout(ECHO_WAIT_MS, undefined)])
    if (heard !== undefined) return heard
  }
  return undefined
}

async function packetsIn(child: RelayChild): Promise<number> {
  const { text } = await child.get('/metrics')
  return Number(/^turnfleet_relay_packets_total\{transport="udp",direction="in"\} (\d+)$/m.exec(text)?.[1])
}

/** Bindings, Allocates, ChannelData and noise from many addresses of loopback, and a good client in between. */
async function flood(t: TestContext, port: number, good: UdpClient, count: number): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: SOURCES }, (_, i) => source(i)))
  const packets = [
    request(METHOD.Binding),
    request(METHOD.Allocate, { attributes: (w) => void w.addFirstByte(ATTRIBUTE.RequestedTransport, 17) }),
    request(METHOD.Refresh, { user: { username: 'user', password: 'wrong' }, nonce: 'x'.repeat(20) }),
    Uint8Array.of(0x40, 0, 0xff, 0xff),
    new Uint8Array(1200).fill(0xa5),
  ]
  for (let sent = 0; sent < count; sent++) {
    const socket = sockets[sent % SOURCES]!
    socket.send(packets[sent % packets.length]!, port, '127.0.0.1')
    if (sent % BURST === 0) await good.refresh()
  }
  for (const socket of sockets) socket.close()
  t.diagnostic(`${count} packets from ${SOURCES} addresses`)
}

async function source(index: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4')
  await once(socket.bind(0, `127.66.${index >> 4}.${1 + (index & 15)}`), 'listening')
  return socket
}

/** A stream that claims a long message and says no more; resolves when it is closed. */
async function stall(t: TestContext, port: number): Promise<void> {
  const socket = net.connect({ port, host: '127.0.0.1' })
  t.after(() => void socket.destroy())
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  await once(socket, 'connect')
  socket.write(Uint8Array.of(0, 1, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42))
  socket.resume()
  await closed
}

type Holds = Awaited<ReturnType<typeof started>>['holds']

async function assertReturnsTo(holds: Holds, before: ReturnType<Holds>): Promise<void> {
  const over = () => {
    const { descriptors, residentBytes } = holds()
    return descriptors > before.descriptors || residentBytes > before.residentBytes + RESIDENT_BYTES_MAX
  }
  for (let waited = 0; over() && waited < DEADLINE_MS; waited += 50) await setTimeout(50)
  assert.ok(!over(), `before: ${JSON.stringify(before)}, now: ${JSON.stringify(holds())}`)
}
