import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { chooseListenerPorts, chooseRelayPorts, probePort, slicesFor } from './port-plan.ts'

const allFree = async () => 'free' as const

test('the first relay has the ports of the spec, the next one the next free ones', async () => {
  const first = await chooseListenerPorts([3478, 5349], new Set(), allFree)
  assert.deepEqual(
    [...first],
    [
      [3478, 3478],
      [5349, 5349],
    ],
  )
  const second = await chooseListenerPorts([3478, 5349], new Set(first.values()), allFree)
  assert.deepEqual([...second.values()], [3479, 5350])
})

test('a port that another listener of the spec names is left to it', async () => {
  const chosen = await chooseListenerPorts([3478, 3479], new Set([3478]), allFree)
  assert.deepEqual([...chosen.values()], [3480, 3479])
})

test('a privileged port that this user may not bind is replaced by one from 3478 up', async () => {
  const isFree = async (port: number) => (port < 1024 ? 'forbidden' : 'free')
  assert.deepEqual([...(await chooseListenerPorts([443], new Set(), isFree)).values()], [3478])
})

test('a port that somebody else uses is seen', async (t) => {
  const socket = createSocket('udp4')
  t.after(() => socket.close())
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  assert.equal(await probePort(socket.address().port), 'taken')
})

test('without any free port it says what to do', async () => {
  await assert.rejects(
    chooseListenerPorts([65000], new Set(), async () => 'taken'),
    /change the ports/,
  )
})

test('relays of one machine have relay ports of their own, also while others drain', () => {
  const range = { min: 49152, max: 65535 }
  const slices = slicesFor(2)
  const taken: { min: number; max: number }[] = []
  for (
    let slice = chooseRelayPorts(range, slices, taken);
    slice;
    slice = chooseRelayPorts(range, slices, taken)
  ) {
    assert.ok(slice.min >= range.min && slice.max <= range.max)
    assert.ok(taken.every((other) => other.max < slice.min || other.min > slice.max))
    taken.push(slice)
  }
  assert.equal(taken.length, 4)
  assert.deepEqual(chooseRelayPorts(range, slices, taken.slice(1)), taken[0])
  assert.deepEqual(chooseRelayPorts({ min: 50000, max: 50004 }, 4, []), { min: 50000, max: 50004 })
})
