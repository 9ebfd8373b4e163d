import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TcpAllocation } from '../../../test/support/tcp-allocation.ts'
import { EPOCH_SECONDS, OTHER_USER } from '../../../test/support/turn-harness.ts'
import { nodeCrypto } from '../../io/node-crypto.ts'

const PEER = '8.8.8.8:5000'

function connected(input: ConstructorParameters<typeof TcpAllocation>[0] = {}) {
  const tcp = new TcpAllocation(input)
  tcp.connect(PEER)
  return { tcp, id: tcp.accept()!.connection! }
}

test('RFC 6062 §5.4: ConnectionBind joins its stream and the peer, after the response', () => {
  const { tcp, id } = connected()
  const data = tcp.stream()
  const before = tcp.harness.events.length
  assert.deepEqual([tcp.bind(id, data)?.code, tcp.harness.heard.at(-1)?.authentic], [0, true])
  assert.deepEqual(tcp.harness.events.slice(before), [{ kind: 'splice', connection: id, link: data.link }])
})

test('RFC 6062 §5.4: an unknown or missing CONNECTION-ID, one in use and one not yet there are answered 400', () => {
  const { tcp, id } = connected()
  assert.equal(tcp.bind((id ^ 1) >>> 0)?.code, 400)
  assert.equal(tcp.bind(undefined)?.code, 400)
  assert.equal(tcp.bind(id)?.code, 0)
  assert.equal(tcp.bind(id)?.code, 400)
  tcp.connect('8.8.8.8:5001')
  assert.equal(tcp.bind(tcp.connectPeers().at(-1)!.connection)?.code, 400)
})

test('RFC 6062 §4.3: ConnectionBind of another user is answered 400 as if there were no such connection', () => {
  const { tcp, id } = connected()
  assert.equal(tcp.bind(id, tcp.stream(), { user: OTHER_USER })?.code, 400)
  assert.equal(tcp.bind(id, tcp.stream(), { user: { username: 'alice', password: 'wrong' } })?.code, 401)
  assert.equal(tcp.bind(id)?.code, 0)
})

test('RFC 6062 §5.4: ConnectionBind over UDP, and on a control connection, is answered 400', () => {
  const { tcp, id } = connected()
  assert.equal(tcp.bind(id, tcp.harness.client())?.code, 400)
  assert.equal(tcp.bind(id, tcp.client)?.code, 400)
  assert.equal(tcp.bind(id)?.code, 0)
})

test('RFC 6062 §5.2: a connection that is not bound in 30 seconds is closed', () => {
  const { tcp, id } = connected()
  tcp.harness.pass(29.9)
  assert.deepEqual(tcp.of('close-peer'), [])
  tcp.harness.pass(0.3)
  assert.deepEqual(tcp.of('close-peer'), [{ kind: 'close-peer', connection: id }])
  assert.equal(tcp.bind(id)?.code, 400)
  assert.equal(tcp.server.counters.peerConnections['bind-timeout'], 1)
})

test('a bound connection has no such deadline', () => {
  const { tcp, id } = connected()
  tcp.bind(id)
  tcp.harness.pass(500)
  assert.deepEqual(tcp.of('close-peer'), [])
})

test('a credential that expires during the call still binds its connections', () => {
  const username = `${EPOCH_SECONDS + 20}:carol`
  const mac = nodeCrypto.hmacSha1(Buffer.from('secret'), Buffer.from(username))
  const user = { username, password: Buffer.from(mac).toString('base64') }
  const credentials = { keys: [{ id: 'k1', secret: 'secret' }] }
  const tcp = new TcpAllocation({ credentials }, { user })
  assert.equal(tcp.answer?.code, 0)
  tcp.harness.pass(30)
  tcp.connect(PEER, { user })
  assert.equal(tcp.bind(tcp.accept()!.connection, tcp.stream(), { user })?.code, 0)
})
