import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { echoPeer, UdpClient } from '../../relay/testing/udp-client.ts'

/** What RFC 8656 measures in minutes, in seconds: as short as the configuration takes it. */
const LIFETIMES = {
  allocationLifetimeSeconds: 5,
  allocationLifetimeMaxSeconds: 5,
  permissionLifetimeSeconds: 2,
  channelLifetimeSeconds: 2,
}
const CHANNEL = 0x4000
/** The real time of the call: longer than the longest of them. */
const CALL_MS = 8_000
const BIND_EVERY_MS = 800
const REFRESH_EVERY_MS = 2_000
const TALK_EVERY_MS = 250
/** Within which the allocation must be gone. */
const EXPIRY_MS = 8_000

test('a call on a relay whose lifetimes are seconds outlasts them all while it refreshes as Chrome does, and ends when it stops', {
  timeout: 40_000,
}, async (t) => {
  const relay = new RelayChild()
  relay.writeConfig(loopbackConfig({ limits: LIFETIMES }))
  relay.spawn()
  t.after(() => relay.stop())
  const { port } = (await relay.ready()).listeners.find(({ protocol }) => protocol === 'udp')!
  const peer = await echoPeer()
  const client = await new UdpClient({ port }).open()
  t.after(() => {
    peer.close()
    client.close()
  })
  await client.allocate()
  await client.bindChannel(CHANNEL, peer.address)
  const start = performance.now()
  let boundAt = start
  let refreshedAt = start
  for (let now = start; now < start + CALL_MS; now = performance.now()) {
    if (now - boundAt > BIND_EVERY_MS) {
      await client.bindChannel(CHANNEL, peer.address)
      boundAt = now
    }
    if (now - refreshedAt > REFRESH_EVERY_MS) {
      await client.refresh()
      refreshedAt = now
    }
    const text = `at ${Math.round(now - start)} ms`
    client.turn.sendChannel(CHANNEL, Buffer.from(text))
    assert.equal((await client.next('data')).text, text)
    await sleep(TALK_EVERY_MS)
  }
  let left = (await relay.load()).allocations
  for (let round = 0; left > 0 && round < EXPIRY_MS / TALK_EVERY_MS; round++) {
    await sleep(TALK_EVERY_MS)
    left = (await relay.load()).allocations
  }
  assert.equal(left, 0)
  await assert.rejects(client.refresh(), /437/)
})
