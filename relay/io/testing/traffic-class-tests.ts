import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { relayedClass } from '../traffic-class.ts'
import { type CreateIo, literal, started } from './setup.ts'

const EF = 46 << 2
const AF41 = 34 << 2
const CS6 = 48 << 2
const CS7 = 56 << 2
const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3] as const
const CLASSES = [NOT_ECT, ECT_0, ECT_1, CE, EF, AF41 | ECT_0, EF | CE, CS6, CS7 | ECT_1, 255]

/** DSCP and ECN of datagrams (RFC 8656 §14), where the I/O layer carries them; 0 where it does not. */
export function trafficClassTests(create: CreateIo): void {
  describe('DSCP and ECN', () => {
    for (const host of ['127.0.0.1', '::1'] as const) {
      for (const kept of [true, false]) {
        const how = kept ? 'are kept, but for those of routers' : 'are cleared but for ECN'
        it(`of datagrams both ways ${how}, on ${host}`, async (t) => {
          const { io, seen } = started(t, create)
          io.keepDscp?.(kept)
          const { port, id } = await io.listen({ protocol: 'udp', address: host, port: 0 })
          io.bindRelay(1, literal(host, 0), { dontFragment: false })
          await seen.until(() => seen.bound.includes(1))
          const listener = literal(host, port)
          for (const [i, trafficClass] of CLASSES.entries()) {
            io.sendToPeer(1, listener, Buffer.of(i), 0, 1, trafficClass)
            await seen.until(() => seen.client.length > i)
            io.sendToClient(id, seen.client[i]!.from, Buffer.of(i), 0, 1, trafficClass)
            await seen.until(() => seen.peer.length > i)
          }
          const expected = CLASSES.map((each) => (io.trafficClass ? relayedClass(each, kept) : 0))
          assert.deepEqual(
            seen.client.map((each) => each.trafficClass),
            expected,
          )
          assert.deepEqual(
            seen.peer.map((each) => each.trafficClass),
            expected,
          )
        })
      }
    }

    it('are those of each datagram, whatever came before it in the same batch', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.includes(1))
      const sent = Array.from({ length: 60 }, (_, i) => (i % 7 < 4 ? 0 : ECT_0 + (i % 2)))
      for (const trafficClass of sent)
        io.sendToPeer(1, literal('127.0.0.1', port), Buffer.alloc(100, trafficClass), 0, 100, trafficClass)
      await seen.until(() => seen.client.length === sent.length)
      for (const { bytes, trafficClass } of seen.client)
        assert.equal(trafficClass, io.trafficClass ? bytes[0] : 0)
    })
  })
}
