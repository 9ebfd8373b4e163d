import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import type { TransportAddress } from '../../../stun/address.ts'
import { literal, started, udpPeer } from '../../testing/setup.ts'
import { LinuxIo } from '../linux-io.ts'
import { Memory } from '../memory.ts'
import { SEND_MEMORY_BYTES, SendQueue } from '../send-queue.ts'
import { type UdpSocket, UdpSocketFactory } from '../udp-socket.ts'

/** A client that sends at once, without a turn of the loop. */
class PromptClient {
  readonly #memory = new Memory(SEND_MEMORY_BYTES + 65_536)
  readonly #queue = new SendQueue(this.#memory, { sendErrors: 0 })
  readonly #socket: UdpSocket
  readonly #to: TransportAddress

  constructor(t: TestContext, address: string, port: number) {
    const sockets = new UdpSocketFactory(this.#memory)
    this.#socket = sockets.open({ bind: literal(address, 0), bufferBytes: 65_536 })
    this.#to = literal(address, port)
    t.after(() => this.#socket.close())
  }

  get address(): TransportAddress {
    return this.#socket.local
  }

  send(text: string): void {
    const bytes = Buffer.from(text)
    this.#queue.push(this.#socket, this.#to, bytes, 0, bytes.length)
    this.#queue.flush()
  }
}

type Loop = ReturnType<typeof started>

async function listening(t: TestContext, address: string) {
  const { io, seen } = started(t, () => new LinuxIo())
  const live: TransportAddress[] = []
  Object.assign(seen, { clientsOf: () => live })
  const { id, port } = await io.listen({ protocol: 'udp', address, port: 0 })
  const client = () => new PromptClient(t, address, port)
  const heard = () => seen.client.map(({ bytes }) => bytes.toString())
  return { io, handOver: io.handOver!, seen, live, id, port, client, heard }
}

describe('a hand-over', () => {
  for (const address of ['127.0.0.1', '::1']) {
    it(`takes in what lay in a listener, and after that only what its clients send (${address})`, async (t) => {
      const { io, handOver, seen, live, id, port, client, heard } = await listening(t, address)
      const [alice, stranger] = [client(), client()]
      live.push(alice.address)
      await handOver.prepare()
      stranger.send('before')
      const { sockets } = handOver.release()
      assert.deepEqual(heard(), ['before'])
      assert.deepEqual(
        sockets.map((one) => [one.transport, one.address, one.port]),
        [['udp', address, port]],
      )

      stranger.send('waits')
      alice.send('goes on')
      await seen.until(() => heard().includes('goes on'))
      assert.equal(seen.client.at(-1)!.socket, id, 'on the link that it was on')
      assert.ok(seen.client.at(-1)!.from.equals(alice.address))
      assert.deepEqual(heard(), ['before', 'goes on'])
      handOver.resume()
      await seen.until(() => heard().includes('waits'))
      await io.close()
    })
  }

  it('gives a socket to whoever becomes live by what lay in a listener', async (t) => {
    const { handOver, seen, live, client, heard } = await listening(t, '127.0.0.1')
    const alice = client()
    seen.onClientData = (_link, from) => void live.push(from.clone())
    await handOver.prepare()
    alice.send('allocate')
    handOver.release()
    handOver.finish()
    alice.send('goes on')
    await seen.until(() => heard().length === 2)
    assert.deepEqual(heard(), ['allocate', 'goes on'])
  })

  it('answers from the address and port of the listener when that is gone', async (t) => {
    const { io, handOver, live, id, port } = await listening(t, '127.0.0.1')
    const peer = await udpPeer(t)
    live.push(peer.address)
    await handOver.prepare()
    handOver.release()
    handOver.finish()
    const bytes = Buffer.alloc(300, 'x')
    io.sendToClient(id, peer.address, bytes, 100, 5)
    const [answer, from] = (await once(peer.socket, 'message')) as [Buffer, { port: number }]
    assert.deepEqual([answer.toString(), from.port], ['xxxxx', port])
  })

  it('leaves strangers to the sockets of all loops, those included that come later', async (t) => {
    const loops = [1, 2, 3].map(() => started(t, () => new LinuxIo()))
    const [first, second, third] = loops as [Loop, Loop, Loop]
    const listener = { protocol: 'udp', address: '127.0.0.1', port: 0 } as const
    const one = await first.io.listen({ ...listener, shared: 'first' })
    const { id, port } = one
    const two = await second.io.listen({ ...listener, port, shared: 'joined' })
    const descriptors = [...one.descriptors!, ...two.descriptors!]
    first.io.adoption!.setListeners(descriptors.map((descriptor) => ({ port, descriptor })))
    const clients = Array.from({ length: 90 }, () => new PromptClient(t, '127.0.0.1', port))
    const live = clients.slice(0, 30)
    Object.assign(first.seen, {
      clientsOf: (link: number) => (link === id ? live.map(({ address }) => address) : []),
    })
    await first.io.handOver!.prepare()
    await third.io.listen({ ...listener, port, shared: 'joined', besideClients: true })
    for (const [number, client] of clients.entries()) client.send(`${number}`)
    const heard = () => loops.map(({ seen }) => seen.client.map(({ bytes }) => Number(bytes.toString())))
    const allHeard = () => heard().flat().length === clients.length
    await Promise.race(loops.map(({ seen }) => seen.until(allHeard)))
    const isLive = (number: number) => number < live.length
    assert.deepEqual(
      heard().map((numbers) => numbers.filter(isLive).length),
      [live.length, 0, 0],
    )
    for (const numbers of heard()) assert.ok(!numbers.every(isLive), 'each loop has strangers')
  })

  it('leaves no descriptor open, whether it is done or undone', async (t) => {
    const round = async (end: 'resume' | 'finish') => {
      const { io, handOver, live, client } = await listening(t, '127.0.0.1')
      live.push(literal('127.0.0.1', 9), client().address)
      await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      await handOver.prepare()
      handOver.release()
      handOver[end]()
      await io.close()
    }
    await round('finish')
    const before = readdirSync('/proc/self/fd').length
    await round('resume')
    await round('finish')
    // Those of the clients stay to the end of the test.
    assert.equal(readdirSync('/proc/self/fd').length - before, 2)
  })
})
