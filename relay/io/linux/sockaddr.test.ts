import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TransportAddress } from '../../stun/address.ts'
import { parseAddress } from '../../stun/address-text.ts'
import { Memory } from './memory.ts'
import { readSockaddr, SOCKADDR_BYTES, sameSockaddr, writeSockaddr } from './sockaddr.ts'

const word = fc.integer({ min: 0, max: 0xffffffff })
const port = fc.integer({ min: 0, max: 65535 })
const address = fc.oneof(
  fc.tuple(word, port).map(([ip, p]) => new TransportAddress().set4(ip, p)),
  fc.tuple(word, word, word, word, port).map(([a, b, c, d, p]) => new TransportAddress().set6(a, b, c, d, p)),
)

describe('a sockaddr', () => {
  const memory = new Memory(4096)
  const one = memory.take(SOCKADDR_BYTES)
  const other = memory.take(SOCKADDR_BYTES)

  it('has the bytes that the kernel expects', () => {
    assert.equal(writeSockaddr(memory, one, parseAddress('192.0.2.7', 3478)!), 16)
    assert.deepEqual([...memory.bytes.subarray(one, one + 8)], [2, 0, 13, 150, 192, 0, 2, 7])
    assert.equal(writeSockaddr(memory, one, parseAddress('2001:db8::a', 443)!), 28)
    const ipv6 = [0x20, 1, 13, 0xb8, ...new Array(11).fill(0), 10]
    assert.deepEqual(
      [...memory.bytes.subarray(one, one + 28)],
      [10, 0, 1, 187, 0, 0, 0, 0, ...ipv6, 0, 0, 0, 0],
    )
  })

  it('gives back the address it was written from', () => {
    fc.assert(
      fc.property(address, (written) => {
        writeSockaddr(memory, one, written)
        const read = new TransportAddress()
        assert.ok(readSockaddr(memory, one, read))
        assert.deepEqual(read, written)
      }),
    )
  })

  it('is the same as another exactly where the addresses are', () => {
    const fields = ['port', 'w0', 'w1', 'w2', 'w3'] as const
    const altered = fc.tuple(address, fc.constantFrom(...fields, undefined))
    fc.assert(
      fc.property(altered, ([first, field]) => {
        const second = first.clone()
        const unused = first.family === 4 && field !== 'port' && field !== 'w3'
        if (field && !unused) second[field] = (second[field] ^ 1) >>> 0
        writeSockaddr(memory, one, first)
        writeSockaddr(memory, other, second)
        assert.equal(sameSockaddr(memory, one, other), first.equals(second))
        assert.equal(sameSockaddr(memory, other, one), first.equals(second))
      }),
    )
  })

  it('of another family is refused', () => {
    memory.u32[one >> 2] = 1
    assert.equal(readSockaddr(memory, one, new TransportAddress()), false)
  })
})
