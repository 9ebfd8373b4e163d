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

const ONLY_LINUX = { skip: process.platform !== 'linux' && 'the batched data path is for Linux' }
const DTLS = [{ protocol: 'dtls', port: 5349 } as const]
const HAND_OVER = { socket: '/run/turnfleet/hand-over' }

/** What fails where the package of koffi has no binary for this system. */
const broken = async () => {
  throw new Error('Cannot find the native Koffi module\nand more of it')
}
/** A filter of system calls, as seccomp makes it. */
const filtered = async () => ({ create: () => new PortableIo(), missingCall: () => 'recvmmsg' })

describe('the data path', () => {
  it('is the portable one where it is asked for', async () => {
    const { io, datapath, note } = await createIo({ datapath: 'portable', limits, listeners: LISTENERS })
    assert.ok(io instanceof PortableIo)
    assert.deepEqual([datapath, note], ['portable', undefined])
  })

  it('is the batched one on Linux', ONLY_LINUX, async () => {
    const { io, datapath, note } = await createIo({ datapath: 'auto', limits, listeners: LISTENERS })
    await io.close()
    assert.deepEqual([datapath, io.dtls, note], ['batched', true, undefined])
  })

  it('is the portable one where the batched one cannot be had, and says why and what to do', async (t) => {
    const auto = { datapath: 'auto', limits, listeners: LISTENERS } as const
    for (const [load, why] of [
      [broken, /the batched data path cannot be had \(Cannot find the native Koffi module\): .* koffi /],
      [filtered, /\(this system refuses recvmmsg\)/],
    ] as const) {
      const { io, datapath, note } = await createIo(auto, load)
      assert.ok(io instanceof PortableIo)
      assert.equal(datapath, 'portable')
      assert.match(note!, why)
      assert.match(note!, /the portable one serves, as datapath: portable would have it/)
    }
    pretend(t, 'darwin', 'arm64')
    const { datapath, note } = await createIo(auto)
    assert.equal(datapath, 'portable')
    assert.match(note!, /the batched data path needs Linux on x64 or arm64, and this is darwin on arm64; /)
  })

  it('of the kernel gives way to another where it cannot be had, and says why', async (t) => {
    pretend(t, 'darwin', 'arm64')
    const { datapath, note } = await createIo({ datapath: 'kernel', limits, listeners: LISTENERS })
    assert.equal(datapath, 'portable')
    assert.match(note!, /the kernel data path needs Linux on x64 or arm64.* the portable one serves/)
  })

  it('says where DTLS and a hand-over can be had, which the portable one has not', async (t) => {
    const config = { datapath: 'auto', limits, listeners: LISTENERS } as const
    await assert.rejects(
      createIo({ ...config, handOver: HAND_OVER }, broken),
      /^Error: handOver cannot be had .*: remove it$/,
    )
    pretend(t, 'darwin', 'arm64')
    await assert.rejects(
      createIo({ ...config, listeners: DTLS }),
      /a dtls listener needs Linux on x64 or arm64, and this is darwin on arm64: remove it/,
    )
  })

  it('says where the batched one can be had', async (t) => {
    const batched = { datapath: 'batched', limits, listeners: LISTENERS } as const
    await assert.rejects(
      createIo(batched, broken),
      /^Error: datapath batched cannot be had .*: choose auto or portable$/,
    )
    pretend(t, 'darwin', 'arm64')
    await assert.rejects(
      createIo(batched),
      /needs Linux on x64 or arm64, and this is darwin on arm64: choose auto or portable/,
    )
  })
})

describe('what the batched data path calls', () => {
  it('is there on this system', ONLY_LINUX, async () => {
    const { missingCall } = await import('./linux/missing-call.ts')
    assert.equal(missingCall(), undefined)
  })
})
