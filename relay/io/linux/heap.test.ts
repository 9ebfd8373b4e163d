import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { IoHandler } from '../io.ts'
import { selfSigned } from '../testing/certificate.ts'
import { bindingRequest, channelData } from '../testing/frames.ts'
import { LinuxIo } from './linux-io.ts'
import { echoChild } from './testing/echo-child.ts'
import { freeAddress } from './testing/free-address.ts'

const WARM_UP = 50_000
const SAMPLE = 20_000
const SAMPLES = 10
/** What the system calls of a batch cost, spread over its datagrams; one object a datagram would be more. */
const BYTES_PER_DATAGRAM_MAX = 32
/** The addresses that the ten calls of a TLS record are given are boxed; a view of a buffer would be more. */
const BYTES_PER_FRAME_MAX = { tcp: 32, tls: 128 }

it('LinuxIo takes no memory of the JavaScript heap for a datagram', async () => {
  const io = new LinuxIo()
  const [one, two] = [await freeAddress(), await freeAddress()]
  const samples: number[] = []
  const done = new Promise<void>((resolve) => {
    let datagrams = -WARM_UP
    let heap = 0
    let bound = 0
    const handler: Pick<IoHandler, 'relayBound' | 'peerData' | 'batchEnd'> = {
      relayBound: () => {
        if (++bound < 2) return
        for (let i = 0; i < 64; i++) io.sendToPeer(1, two, Buffer.alloc(160), 0, 160)
      },
      peerData: (relay, from, buffer, offset, length) => {
        if (++datagrams >= 0 && datagrams % SAMPLE === 0) {
          const { heapUsed } = process.memoryUsage()
          if (heap > 0) samples.push((heapUsed - heap) / SAMPLE)
          heap = heapUsed
          if (samples.length === SAMPLES) resolve()
        }
        io.sendToPeer(relay, from, buffer, offset, length)
      },
      batchEnd: () => undefined,
    }
    io.start(handler as IoHandler)
    io.bindRelay(1, one, { dontFragment: false })
    io.bindRelay(2, two, { dontFragment: false })
  })
  await done
  await io.close()
  assertSmall(samples, BYTES_PER_DATAGRAM_MAX)
})

for (const kind of ['tcp', 'tls'] as const) {
  it(`LinuxIo takes no memory of the JavaScript heap for a frame of a stream: ${kind}`, async () => {
    const io = new LinuxIo()
    const samples: number[] = []
    const done = new Promise<void>((resolve) => {
      let frames = -WARM_UP
      let heap = 0
      const handler: Pick<IoHandler, 'linkOpened' | 'linkClosed' | 'clientData' | 'batchEnd'> = {
        linkOpened: () => undefined,
        linkClosed: () => undefined,
        clientData: (link, from, buffer, offset, length) => {
          if (++frames >= 0 && frames % SAMPLE === 0) {
            const { heapUsed } = process.memoryUsage()
            if (heap > 0) samples.push((heapUsed - heap) / SAMPLE)
            heap = heapUsed
            if (samples.length === SAMPLES) resolve()
          }
          io.sendToClient(link, from, buffer, offset, length)
        },
        batchEnd: () => undefined,
      }
      io.start(handler as IoHandler)
    })
    io.setTls(await selfSigned('relay.example.org'))
    const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
    const frame = channelData(0x4000, Buffer.alloc(160))
    const child = await echoChild(kind, port, { first: bindingRequest(), frame, frames: 64 })
    await done
    await io.close()
    child.kill()
    assertSmall(samples, BYTES_PER_FRAME_MAX[kind])
  })
}

/** A sample in which garbage was collected is negative and says nothing. */
function assertSmall(samples: readonly number[], most: number): void {
  const grown = samples.filter((bytes) => bytes >= 0).toSorted((a, b) => a - b)
  assert.ok(grown.length > 0, `every sample met a collection: ${samples}`)
  assert.ok(grown[0]! <= most, `bytes each: ${samples}`)
}
