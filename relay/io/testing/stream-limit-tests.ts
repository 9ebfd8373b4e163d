import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ended } from './ended.ts'
import { bindingRequest, channelData, readBytes } from './frames.ts'
import { type CreateIo, started, tcpClient } from './setup.ts'

/** What a stream client may hold. */
export function streamLimitTests(create: CreateIo): void {
  describe('stream limits', () => {
    it('close a stream that sends no whole message in time', async (t) => {
      const { io, seen } = started(t, create, { firstMessageSeconds: 0.05 })
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      for (const start of [Buffer.alloc(0), bindingRequest().subarray(0, 19), Buffer.from([0x16, 3, 1])]) {
        const client = await tcpClient(t, port)
        if (start.length > 0) client.write(start)
        client.resume()
        await ended(client)
      }
      assert.deepEqual(seen.streams(), [])
      assert.equal(io.counters.streamsRefused['first-message'], 3)
    })

    it('close a stream that is idle, but not one in use', async (t) => {
      const { io, seen } = started(t, create, { idleSeconds: 0.1 })
      const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      const busy = await tcpClient(t, port)
      busy.write(bindingRequest())
      await seen.until(() => seen.streams().length === 1)
      const [link] = seen.streams()
      io.setLinkInUse(link!.id, true)
      for (let round = 0; round < 2; round++) {
        const idle = await tcpClient(t, port)
        idle.resume().write(bindingRequest())
        await ended(idle)
      }
      assert.ok(!seen.closedLinks.includes(link!.id))
      io.setLinkInUse(link!.id, false)
      await seen.until(() => seen.closedLinks.includes(link!.id))
    })

    it('refuse more streams than fit, per address and in all, and take new ones when some end', async (t) => {
      for (const limits of [{ perAddress: 2 }, { total: 2 }]) {
        const { io, seen } = started(t, create, limits)
        const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
        const kept = [await tcpClient(t, port), await tcpClient(t, port)]
        for (const client of kept) client.write(bindingRequest())
        await seen.until(() => seen.streams().length === 2)
        const refused = await tcpClient(t, port)
        refused.resume()
        await ended(refused)
        assert.equal(io.counters.streamsRefused[limits.total ? 'total' : 'address'], 1)
        assert.equal(io.counters.streamsOpen, 2)
        kept[0]!.destroy()
        await seen.until(() => seen.closedLinks.length === 1)
        const another = await tcpClient(t, port)
        another.write(bindingRequest())
        await seen.until(() => seen.streams().length === 3)
      }
    })

    it('refuse more half-open streams of an address than fit; one that was in use is none', async (t) => {
      const { io, seen } = started(t, create, { halfOpenPerAddress: 2 })
      const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      const open = async (streams: number) => {
        const client = await tcpClient(t, port)
        client.write(bindingRequest())
        await seen.until(() => seen.streams().length === streams)
        return client
      }
      const first = await open(1)
      io.setLinkInUse(seen.streams()[0]!.id, true)
      io.setLinkInUse(seen.streams()[0]!.id, false)
      const second = await open(2)
      await open(3)
      const refused = await tcpClient(t, port)
      refused.resume()
      await ended(refused)
      assert.equal(io.counters.streamsRefused['half-open'], 1)
      for (const client of [first, second]) client.destroy()
      await seen.until(() => seen.closedLinks.length === 2)
      await open(4)
    })

    for (const queueBytes of [65_536, 1_048_576])
      it(`drop the oldest media of a client that reads too slowly, and never a part of a frame: ${queueBytes} bytes`, async (t) => {
        const { io, seen } = started(t, create, { queueBytes })
        const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
        const client = await tcpClient(t, port)
        client.write(bindingRequest())
        await seen.until(() => seen.streams().length === 1)
        const link = seen.streams()[0]!
        let sent = 0
        while (io.counters.clientQueueDrops < 100) {
          const payload = Buffer.alloc(1200)
          payload.writeUInt32BE(sent++, 0)
          const frame = channelData(0x4001, payload)
          io.sendToClient(link.id, link.remote!, frame, 0, frame.length)
          if (sent % 32 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        const response = bindingRequest(77)
        response.writeUInt16BE(0x0101, 0)
        io.sendToClient(link.id, link.remote!, response, 0, response.length)
        const received = await readUntilResponse(client, response)
        assert.equal(received.length + io.counters.clientQueueDrops, sent)
        assert.equal(received.at(-1), sent - 1, 'the newest media is delivered')
        assert.deepEqual(
          received,
          received.toSorted((a, b) => a - b),
        )
      })
  })
}

async function readUntilResponse(
  client: Parameters<typeof readBytes>[0],
  response: Buffer,
): Promise<number[]> {
  const numbers: number[] = []
  for (;;) {
    const head = await readBytes(client, 4)
    if (head.subarray(0, 2).equals(response.subarray(0, 2))) {
      assert.deepEqual(Buffer.concat([head, await readBytes(client, 16)]), response)
      return numbers
    }
    assert.deepEqual(head, Buffer.from([0x40, 0x01, 0x04, 0xb0]))
    numbers.push((await readBytes(client, 1200)).readUInt32BE(0))
  }
}
