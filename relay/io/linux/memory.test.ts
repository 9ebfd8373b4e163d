import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getSystemErrorName } from 'node:util'
import { EFD_CLOEXEC } from './constants.ts'
import { close, errno, eventfd, read, write } from './ffi.ts'
import { Memory } from './memory.ts'

describe('Memory', () => {
  it('lets the kernel write inside, and nowhere before or behind', (t) => {
    const memory = new Memory(1)
    const end = memory.bytes.length
    const fd = eventfd(7, EFD_CLOEXEC)
    t.after(() => close(fd))
    assert.equal(read(fd, memory.address(end - 8), 8), 8)
    assert.equal(memory.bytes[end - 8], 7)
    for (const outside of [-8, -4, end - 4, end]) {
      memory.bytes.fill(0).set([1])
      assert.equal(write(fd, memory.address(0), 8), 8)
      const result = read(fd, memory.address(outside), 8)
      assert.deepEqual([result, getSystemErrorName(-errno())], [-1, 'EFAULT'])
    }
  })

  it('hands out ranges that do not overlap until it is full', () => {
    const memory = new Memory(65_536)
    const first = memory.take(1)
    const second = memory.take(60_000)
    assert.ok(second > first)
    assert.throws(() => memory.take(10_000), /no room for 10000 bytes more/)
  })

  it('gives C no address of a range that does not lie inside', () => {
    const memory = new Memory(1)
    const end = memory.bytes.length
    assert.equal(memory.span(end - 8, 8), memory.address(end - 8))
    for (const [offset, length] of [
      [end - 8, 9],
      [-1, 4],
      [0, -1],
      [end, 1],
      [Number.NaN, 1],
    ])
      assert.throws(() => memory.span(offset!, length!), RangeError)
  })

  it('writes pointers that C reads back', () => {
    const memory = new Memory(4096)
    for (const target of [0, 1, 4095]) {
      memory.setPointer(64, target)
      const low = memory.u32[16]!
      const high = memory.u32[17]!
      assert.equal(high * 2 ** 32 + low, memory.address(target))
    }
  })
})
