import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BoundListener, ListenerOptions } from '../io/io.ts'
import { EveryAddress } from './every-address.ts'

/** An io that keeps what is bound, and a host whose addresses change. */
function setUp(...addresses: string[]) {
  const host = { addresses }
  const bound = new Map<number, string>()
  const failing = new Map<string, string>()
  let last = 0
  const io = {
    async listen({ protocol, address, port }: ListenerOptions): Promise<BoundListener> {
      const id = ++last
      const at = { id, protocol, address, port: port || 40_000 + id }
      const code = failing.get(address) ?? (taken(at) ? 'EADDRINUSE' : undefined)
      if (code) throw Object.assign(new Error(`${address}: ${code}`), { code })
      bound.set(id, `${protocol} ${address} ${at.port}`)
      return at
    },
    async closeListener(id: number): Promise<void> {
      assert.ok(bound.delete(id), `${id} is not bound`)
    },
  }
  const taken = ({ protocol, address, port }: BoundListener) =>
    [...bound.values()].includes(`${protocol} ${address} ${port}`)
  return {
    every: new EveryAddress(io, () => host.addresses),
    host,
    failing,
    bound: () => [...bound.values()],
  }
}

const udp = (address: string, port = 3478): ListenerOptions => ({ protocol: 'udp', address, port })

test('an unspecified address is each one of its family, on one port, and one listener to who asked', async () => {
  const { every, bound } = setUp('127.0.0.1', '10.0.0.1', '::1', '2001:db8::1', 'fe80::1', '10.0.0.1')
  const { id, ...listener } = await every.listen(udp('0.0.0.0', 0))
  assert.deepEqual(listener, { protocol: 'udp', address: '0.0.0.0', port: 40_001 })
  assert.deepEqual(bound(), ['udp 127.0.0.1 40001', 'udp 10.0.0.1 40001'])
  await every.listen(udp('::'))
  assert.deepEqual(bound().slice(2), ['udp ::1 3478', 'udp 2001:db8::1 3478'])
  await every.closeListener(id)
  assert.deepEqual(bound(), ['udp ::1 3478', 'udp 2001:db8::1 3478'])
})

test('streams, one address, and a host with none of the family are bound as they are asked for', async () => {
  const { every, bound } = setUp('127.0.0.1')
  const { id } = await every.listen({ protocol: 'tcp', address: '0.0.0.0', port: 1 })
  await every.listen(udp('127.0.0.1', 2))
  await every.listen(udp('::', 3))
  assert.deepEqual(bound(), ['tcp 0.0.0.0 1', 'udp 127.0.0.1 2', 'udp :: 3'])
  await every.closeListener(id)
  assert.equal(bound().length, 2)
})

test('addresses that come and go are taken up and let go', async () => {
  const { every, host, bound } = setUp('127.0.0.1', '10.0.0.1')
  const { id } = await every.listen(udp('0.0.0.0'))
  host.addresses = ['10.0.0.1', '10.0.0.2']
  assert.equal(await every.refresh(), true)
  assert.deepEqual(bound(), ['udp 10.0.0.1 3478', 'udp 10.0.0.2 3478'])
  assert.equal(await every.refresh(), false)
  host.addresses = []
  await every.refresh()
  assert.equal(bound().length, 1, 'the last one stays: all may be gone for a moment only')
  await every.closeListener(id)
  assert.deepEqual(bound(), [])
})

test('a port that is taken on one address is none at all, and nothing stays bound', async () => {
  const { every, failing, bound } = setUp('127.0.0.1', '10.0.0.1')
  failing.set('10.0.0.1', 'EADDRINUSE')
  await assert.rejects(every.listen(udp('0.0.0.0')), /10\.0\.0\.1/)
  await assert.rejects(every.listen(udp('0.0.0.0', 0)), /10\.0\.0\.1/)
  assert.deepEqual(bound(), [])
})

test('a port that the system chose and that is taken on another address is chosen anew', async () => {
  const { every, bound } = setUp('127.0.0.1', '10.0.0.1')
  await every.listen({ protocol: 'udp', address: '10.0.0.1', port: 40_002 })
  const { port } = await every.listen(udp('0.0.0.0', 0))
  assert.notEqual(port, 40_002)
  assert.deepEqual(bound().slice(1), [`udp 127.0.0.1 ${port}`, `udp 10.0.0.1 ${port}`])
})

test('an address that is not ready is taken up later', async () => {
  const { every, failing, bound } = setUp('127.0.0.1', '10.0.0.1')
  failing.set('10.0.0.1', 'EADDRNOTAVAIL')
  await every.listen(udp('0.0.0.0'))
  assert.deepEqual(bound(), ['udp 127.0.0.1 3478'])
  failing.clear()
  await every.refresh()
  assert.deepEqual(bound(), ['udp 127.0.0.1 3478', 'udp 10.0.0.1 3478'])
})

test('an address with a listener of its own on the port is left to that one', async () => {
  const { every, bound } = setUp('127.0.0.1', '10.0.0.1')
  await every.listen(udp('10.0.0.1'))
  await every.listen(udp('0.0.0.0'))
  await every.refresh()
  assert.deepEqual(bound(), ['udp 10.0.0.1 3478', 'udp 127.0.0.1 3478'])
})
