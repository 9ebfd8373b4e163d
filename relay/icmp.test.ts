import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { TurnClient } from './client/turn-client.ts'
import { nodeCrypto } from './io/node-crypto.ts'
import { TransportAddress } from './stun/address.ts'
import { formatAddress, parseAddress } from './stun/address-text.ts'
import { ATTRIBUTE } from './stun/attribute-types.ts'
import { readXorAddress } from './stun/attributes.ts'
import { CLASS, METHOD } from './stun/methods.ts'
import { StunReader } from './stun/reader.ts'
import { loopbackConfig, RelayChild } from './testing/relay-child.ts'

const skip = process.platform === 'linux' ? false : 'the batched data path is for Linux'

test('RFC 8656 §11.5: a client is told by ICMP that nobody listens at its peer', {
  skip,
  timeout: 30_000,
}, async (t) => {
  const relay = new RelayChild()
  t.after(() => relay.stop())
  relay.writeConfig(loopbackConfig({ datapath: 'batched' }))
  relay.spawn()
  const { port } = (await relay.ready()).listeners[0]!
  const [socket, gone] = [await bound(), await bound()]
  t.after(() => socket.close())
  const peer = parseAddress('127.0.0.1', gone.address().port)!
  await new Promise<void>((resolve) => gone.close(() => resolve()))

  const turn = new TurnClient({
    transport: 'udp',
    username: 'user',
    password: 'password',
    crypto: nodeCrypto,
  })
  const exchange = async () => {
    for (let request = turn.nextTransmit(); request; request = turn.nextTransmit()) {
      socket.send(request, port, '127.0.0.1')
      const [answer] = (await once(socket, 'message')) as [Buffer]
      turn.handleData(answer, 0, answer.length, performance.now())
    }
    return turn.nextEvent()?.kind
  }
  turn.allocate(performance.now())
  assert.equal(await exchange(), 'allocated')
  turn.createPermission(performance.now(), [peer])
  assert.equal(await exchange(), 'permitted')
  turn.sendIndication(peer, Buffer.from('anybody there?'))
  socket.send(turn.nextTransmit()!, port, '127.0.0.1')
  const [bytes] = (await once(socket, 'message')) as [Buffer]

  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  assert.deepEqual([reader.method, reader.messageClass], [METHOD.Data, CLASS.Indication])
  const about = new TransportAddress()
  assert.ok(readXorAddress(reader, reader.find(ATTRIBUTE.XorPeerAddress), about))
  assert.equal(formatAddress(about), formatAddress(peer))
  assert.deepEqual([...reader.value(reader.find(ATTRIBUTE.Icmp))], [0, 0, 3, 3, 0, 0, 0, 0])
})

async function bound(): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}
