import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { formatIp } from '../../stun/address-text.ts'
import { ended } from './ended.ts'
import { bindingRequest, channelData, readBytes } from './frames.ts'
import { type CreateIo, started, tcpClient } from './setup.ts'

/** Plain TCP. */
export function streamTests(create: CreateIo): void {
  describe('streams', () => {
    it('hand over whole frames wherever the bytes are split', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      const frames = [bindingRequest(1), channelData(0x4000, randomBytes(13)), bindingRequest(2)]
      const whole = Buffer.concat(frames)
      for (let cut = 1; cut < whole.length; cut++) {
        const client = await tcpClient(t, port)
        const before = seen.client.length
        client.write(whole.subarray(0, cut))
        await new Promise((resolve) => setImmediate(resolve))
        client.end(whole.subarray(cut))
        await seen.until(() => seen.client.length === before + frames.length)
        assert.deepEqual(
          seen.client.slice(before).map(({ bytes }) => bytes),
          frames,
        )
      }
    })

    it('take a thousand frames in one write and answer them in order', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      seen.onClientData = (link, from, buffer, offset, length) =>
        io.sendToClient(link, from, buffer, offset, length)
      const client = await tcpClient(t, port)
      const frames = Array.from({ length: 1000 }, (_, i) =>
        channelData(0x4000 + (i % 16), randomBytes(i % 300)),
      )
      const sent = Buffer.concat([bindingRequest(), ...frames])
      client.write(sent)
      const echoed = await readBytes(client, sent.length)
      assert.equal(echoed.compare(sent), 0)
    })

    it('name the client and the address it connected to', async (t) => {
      for (const host of ['127.0.0.1', '::1']) {
        const { io, seen } = started(t, create)
        const { port } = await io.listen({ protocol: 'tcp', address: host, port: 0 })
        const client = await tcpClient(t, port, host)
        client.write(bindingRequest())
        await seen.until(() => seen.client.length === 1)
        const [link] = seen.streams()
        assert.equal(link!.transport, 'tcp')
        assert.deepEqual([formatIp(link!.local), link!.local.port], [host, port])
        assert.deepEqual([formatIp(link!.remote!), link!.remote!.port], [host, client.localPort])
        assert.ok(seen.client[0]!.from.equals(link!.remote!))
        client.destroy()
        await seen.until(() => seen.closedLinks.includes(link!.id))
      }
    })

    it('of anything but STUN are closed without a reply', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      const strangers = [
        'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        'SSH-2.0-x\r\n',
        channelData(0x4000, Buffer.from('early')),
      ]
      for (const stranger of strangers) {
        const client = await tcpClient(t, port)
        const replies: Buffer[] = []
        client.on('data', (data) => replies.push(data as Buffer))
        client.write(stranger)
        await ended(client)
        assert.deepEqual(replies, [])
      }
      assert.equal(io.counters.framingErrors, strangers.length)
      assert.deepEqual(seen.streams(), [])
    })

    it('deliver what is queued before closeLink ends them', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      seen.onClientData = (link, from, buffer, offset, length) => {
        io.sendToClient(link, from, buffer, offset, length)
        io.closeLink(link)
        io.sendToClient(link, from, buffer, offset, length)
      }
      const client = await tcpClient(t, port)
      const heard: Buffer[] = []
      client.on('data', (data) => heard.push(data as Buffer))
      client.write(bindingRequest(9))
      await ended(client)
      assert.deepEqual(Buffer.concat(heard), bindingRequest(9))
      await seen.until(() => seen.closedLinks.length === 1)
    })

    it('stay when their listener is closed', async (t) => {
      const { io, seen } = started(t, create)
      seen.onClientData = (link, from, buffer, offset, length) =>
        io.sendToClient(link, from, buffer, offset, length)
      const listener = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      const client = await tcpClient(t, listener.port)
      client.write(bindingRequest(1))
      await readBytes(client, 20)
      await io.closeListener(listener.id)
      await assert.rejects(tcpClient(t, listener.port), /ECONNREFUSED/)
      client.write(bindingRequest(2))
      assert.deepEqual(await readBytes(client, 20), bindingRequest(2))
      await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: listener.port })
    })
  })
}
