import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { hostAddresses } from './control/host-addresses.ts'
import { bindingRequest } from './io/testing/frames.ts'
import { loopbackConfig, RelayChild } from './testing/relay-child.ts'

const address = hostAddresses().find((one) => !one.includes(':') && !one.startsWith('127.'))

for (const datapath of ['portable', 'batched'] as const) {
  const unable = datapath === 'batched' && process.platform !== 'linux' ? 'batched is for Linux' : false
  const skip = unable || (address === undefined && 'this host has one IPv4 address only')
  test(`a listener on 0.0.0.0 answers from the address that was asked (${datapath})`, {
    skip,
    timeout: 30_000,
  }, async (t) => {
    const relay = new RelayChild()
    t.after(() => relay.stop())
    relay.writeConfig(
      loopbackConfig({ listeners: [{ protocol: 'udp', address: '0.0.0.0', port: 0 }], datapath }),
    )
    relay.spawn()
    const { port, address: bound } = (await relay.ready()).listeners[0]!
    assert.equal(bound, '0.0.0.0')
    for (const asked of ['127.0.0.1', address!]) {
      // The way back to this client is by loopback, so that the system's own choice were always 127.0.0.1.
      const client = dgram.createSocket('udp4').bind(0, '127.0.0.1')
      t.after(() => client.close())
      await once(client, 'listening')
      client.send(bindingRequest(1), port, asked)
      const [, from] = await once(client, 'message')
      assert.deepEqual([from.address, from.port], [asked, port])
    }
  })
}
