import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { TurnClient } from './client/turn-client.ts'
import { nodeCrypto } from './io/node-crypto.ts'
import { proxyHeader } from './io/testing/proxy-frames.ts'
import { formatAddress } from './stun/address-text.ts'
import { loopbackConfig, RelayChild } from './testing/relay-child.ts'

const CLIENT = ['198.51.100.7', 4000] as const

for (const datapath of ['portable', 'batched'] as const) {
  const skip = datapath === 'batched' && process.platform !== 'linux' ? 'batched is for Linux' : false
  test(`a client behind a UDP balancer that changes its source port with each datagram allocates (${datapath})`, {
    skip,
    timeout: 30_000,
  }, async (t) => {
    const relay = new RelayChild()
    t.after(() => relay.stop())
    const proxyProtocol = { from: ['127.0.0.0/8'] }
    const listeners = [{ protocol: 'udp' as const, address: '127.0.0.1', port: 0, proxyProtocol }]
    relay.writeConfig(loopbackConfig({ listeners, datapath }))
    relay.spawn()
    const { port } = (await relay.ready()).listeners[0]!
    const client = new TurnClient({
      transport: 'udp',
      username: 'user',
      password: 'password',
      crypto: nodeCrypto,
    })
    client.allocate(performance.now())
    for (let request = client.nextTransmit(); request; request = client.nextTransmit()) {
      const answer = await forward(request)
      client.handleData(answer, 0, answer.length, performance.now())
    }
    const event = client.nextEvent()
    assert.ok(event?.kind === 'allocated', JSON.stringify(event))
    assert.equal(formatAddress(event.mapped), CLIENT.join(':'))

    async function forward(request: Uint8Array): Promise<Uint8Array> {
      const balancer = dgram.createSocket('udp4').bind(0, '127.0.0.1')
      await once(balancer, 'listening')
      balancer.send([proxyHeader({ source: CLIENT, transport: 'datagram' }), request], port, '127.0.0.1')
      const [answer] = await once(balancer, 'message')
      balancer.close()
      return answer as Uint8Array
    }
  })
}
