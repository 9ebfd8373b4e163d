import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { DEFAULT_STREAM_LIMITS } from '../io.ts'
import { ended } from './ended.ts'
import { bindingRequest, channelData, readBytes } from './frames.ts'
import { type CreateIo, literal } from './setup.ts'
import { hasTcpPeers, TcpRelay } from './tcp-peer-setup.ts'

interface Ends {
  readonly relay: TcpRelay
  readonly connection: number
  readonly client: Socket
  readonly peer: Socket
}

/** What is counted, once it grows no more. */
async function settled(count: () => number): Promise<number> {
  let last = 0
  for (let same = 0; same < 3 || last === 0; ) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    same = count() === last ? same + 1 : 0
    last = count()
  }
  return last
}

/** TCP peers joined to streams of clients (RFC 6062 §5.4), of an I/O layer that has them. */
export function spliceTests(create: CreateIo, protocol: 'tcp' | 'tls'): void {
  describe(`TCP peers at the other end of ${protocol}`, () => {
    it('and clients exchange bytes as they are, early ones first', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create, { protocol })
      relay.seen.onPeerConnection = () => 7
      const peer = await relay.peer()
      const greeting = randomBytes(5000)
      peer.write(greeting)
      // Nothing of it is a frame.
      const early = Buffer.concat([Buffer.from('SSH-2.0-early\r\n'), bindingRequest(), randomBytes(3000)])
      const client = await relay.spliced(7, early)
      assert.deepEqual(await readBytes(client, greeting.length), greeting)
      assert.deepEqual(await readBytes(peer, early.length), early)
      const [up, down] = [randomBytes(300_000), randomBytes(200_000)]
      client.write(up)
      peer.write(down)
      const heard = await Promise.all([readBytes(peer, up.length), readBytes(client, down.length)])
      assert.ok(heard[0].equals(up) && heard[1].equals(down))
      assert.deepEqual(relay.seen.spliced, {
        client: early.length + up.length,
        peer: greeting.length + down.length,
      })
      assert.equal(relay.seen.client.length, 1)
    })

    it('hold what comes behind a request that splices nothing as frames', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create, { protocol })
      relay.seen.onPeerConnection = () => 7
      await relay.peer()
      const client = await relay.spliced(99, bindingRequest(2))
      await relay.seen.until(() => relay.seen.client.length === 2)
      assert.deepEqual(relay.seen.client[1]!.bytes, bindingRequest(2))
      client.destroy()
    })

    it('are heard after all that waits for the client', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create, { protocol })
      relay.io.setStreamLimits({ ...DEFAULT_STREAM_LIMITS, queueBytes: 32_000_000 })
      const server = await relay.server()
      const connection = await relay.connect(server.port)
      const frames = Array.from({ length: 250 }, () => channelData(0x4000, randomBytes(64_000)))
      const to = literal('127.0.0.1', 9)
      const client = await relay.spliced(connection, undefined, (link) => {
        for (const frame of frames) relay.io.sendToClient(link, to, frame, 0, frame.length)
      })
      ;(await server.next()).write('raw')
      await relay.seen.until(() => relay.seen.spliced.peer === 3)
      const expected = Buffer.concat([...frames, Buffer.from('raw')])
      assert.ok((await readBytes(client, expected.length)).equals(expected))
    })

    it('are read from no faster than the client reads, and lose nothing', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create, { protocol })
      const server = await relay.server()
      const client = await relay.spliced(await relay.connect(server.port))
      client.pause()
      const peer = await server.next()
      const sent = randomBytes(32_000_000)
      peer.write(sent)
      const read = await settled(() => relay.seen.spliced.peer)
      assert.ok(read < 16_000_000, `${read} bytes were read for a client that reads none`)
      assert.ok((await readBytes(client, sent.length)).equals(sent))
    })

    it('are read from again only when the machine says so', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create, { protocol })
      const server = await relay.server()
      const client = await relay.spliced(await relay.connect(server.port))
      const reads: number[] = []
      relay.seen.onSpliced = () => {
        reads.push(relay.io.now())
        return relay.io.now() + 50
      }
      client.write('one')
      await relay.seen.until(() => reads.length === 1)
      client.write('two')
      assert.equal((await readBytes(await server.next(), 6)).toString(), 'onetwo')
      assert.ok(reads[1]! - reads[0]! >= 49, `${reads[1]! - reads[0]!} ms between the reads`)
    })

    const ENDS = {
      'the peer closes': ({ peer }) => peer.end(),
      'the client closes': ({ client }) => client.end(),
      'the connection is closed': ({ relay, connection }) => relay.peers.close(connection),
      'the link is closed': ({ relay }) => relay.io.closeLink([...relay.seen.links.keys()].at(-1)!),
    } satisfies Record<string, (ends: Ends) => unknown>
    for (const [name, end] of Object.entries(ENDS)) {
      it(`and the client are both closed after what came before, when ${name}`, async (t) => {
        if (!hasTcpPeers(t, create)) return
        const relay = await TcpRelay.open(t, create, { protocol })
        const server = await relay.server()
        const connection = await relay.connect(server.port)
        const client = await relay.spliced(connection)
        const peer = await server.next()
        peer.write('from the peer')
        client.write('from the client')
        await Promise.all([readBytes(peer, 15), readBytes(client, 13)])
        end({ relay, connection, client, peer })
        peer.resume().on('end', () => peer.end())
        client.resume()
        await Promise.all([ended(peer), ended(client)])
        await relay.seen.until(() => relay.seen.closedLinks.length === 1)
        const told = name.endsWith(' closes')
        assert.deepEqual(relay.seen.closedPeers, told ? [connection] : [])
      })
    }

    it('that send much and close at once lose nothing', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create, { protocol })
      const server = await relay.server()
      const client = await relay.spliced(await relay.connect(server.port))
      const peer = await server.next()
      // What the peer does not read backs up at the client, and is there unread when the peer has closed.
      peer.pause()
      client.pause()
      client.write(Buffer.alloc(32_000_000))
      const sent = randomBytes(1_000_000)
      peer.end(sent)
      await settled(() => relay.seen.spliced.client + relay.seen.spliced.peer)
      assert.ok((await readBytes(client, sent.length)).equals(sent))
    })
  })
}
