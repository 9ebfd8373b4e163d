import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { relayConfig } from '../api/config.ts'
import { createIo } from './create-io.ts'
import { PortableIo } from './portable/portable-io.ts'

const { limits, listeners: LISTENERS } = relayConfig.parse({
  realm: 'r',
  listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
  relay: {},
})

/** Pretends to be another host. */
function pretend(t: TestContext, platform: string, arch: string): void {
  for (const [name, value] of Object.entries({ platform, arch })) {
    const real = Object.getOwnPropertyDescriptor(process, name)!
    Object.defineProperty(process, name, { ...real, value })
    t.after(() => Object.defineProperty(process, name, real))
  }
}

describe('the data path', () => {
  it('is the portable one unless another is asked for', async () => {
    for (const wanted of ['auto', 'portable'] as const) {
      const { io, datapath, note } = await createIo({ datapath: wanted, limits, listeners: LISTENERS })
      assert.ok(io instanceof PortableIo)
      assert.deepEqual([datapath, note], ['portable', undefined])
    }
  })

  it('of the kernel gives way to another where it cannot be had, and says why', async (t) => {
    pretend(t, 'darwin', 'arm64')
    const { datapath, note } = await createIo({ datapath: 'kernel', limits, listeners: LISTENERS })
    assert.equal(datapath, 'portable')
    assert.match(note!, /the kernel data path needs Linux on x64 or arm64.* the portable one serves/)
  })

  it('is one that speaks DTLS where a listener asks for it', {
    skip: process.platform !== 'linux',
  }, async () => {
    const listeners = [{ protocol: 'dtls', port: 5349 } as const]
    const { io, datapath } = await createIo({ datapath: 'auto', limits, listeners })
    await io.close()
    assert.deepEqual([datapath, io.dtls], ['batched', true])
  })

  it('says where DTLS can be had', async (t) => {
    pretend(t, 'darwin', 'arm64')
    const listeners = [{ protocol: 'dtls', port: 5349 } as const]
    await assert.rejects(
      createIo({ datapath: 'auto', limits, listeners }),
      /a dtls listener needs Linux on x64 or arm64, and this is darwin on arm64: remove it/,
    )
  })

  it('says where the batched one can be had', async (t) => {
    pretend(t, 'darwin', 'arm64')
    await assert.rejects(
      createIo({ datapath: 'batched', limits, listeners: LISTENERS }),
      /needs Linux on x64 or arm64, and this is darwin on arm64: choose auto or portable/,
    )
  })
})
