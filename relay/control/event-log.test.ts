import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShardEvent } from '../shard/shard.ts'
import { TransportAddress } from '../stun/address.ts'
import type { Refused } from '../turn/contract.ts'
import { REFUSALS, type RefusalReason } from '../turn/refusals.ts'
import { EventLog } from './event-log.ts'
import type { Logger } from './log.ts'

const CLIENT = new TransportAddress().set4(0xc6336401, 4000)

function logAt(level: 'info' | 'debug') {
  const lines: string[] = []
  const write = (kind: string) => (fields: object, message: string) => {
    lines.push(`${kind} ${message} ${JSON.stringify(fields)}`)
  }
  const clock = { ms: 0 }
  const logger = {
    isLevelEnabled: (asked: string) => asked !== 'debug' || level === 'debug',
    debug: write('debug'),
    info: write('info'),
    error: write('error'),
  }
  return { lines, clock, log: new EventLog(logger as unknown as Logger, () => clock.ms) }
}

const refused = (reason: RefusalReason, more: Partial<Refused> = {}): ShardEvent => ({
  kind: 'refused',
  method: 'CreatePermission',
  code: REFUSALS[reason].code,
  reason,
  transport: 'udp',
  client: CLIENT,
  user: undefined,
  peer: undefined,
  ...more,
})

const opened: ShardEvent = {
  kind: 'allocation-opened',
  at: 0,
  allocation: {
    allocation: 1,
    link: 1,
    username: 'alice',
    keyId: 'k1',
    realm: 'r',
    transport: 'udp',
    client: CLIENT,
    relayTransport: 'udp',
    relayed: [],
  },
}

test('single allocations are written at debug only', () => {
  const quiet = logAt('info')
  quiet.log.write(opened)
  assert.deepEqual(quiet.lines, [])
  const loud = logAt('debug')
  loud.log.write(opened)
  assert.match(loud.lines[0]!, /^debug allocation-opened .*"client":"198\.51\.100\.1:4000"/)
})

test('one line says why a peer was refused: the rule, its network, the peer, and who asked', () => {
  const { lines, log } = logAt('info')
  const address = new TransportAddress().set4(0x0a010203, 40_000)
  log.write(
    refused('peer-special', { user: 'alice', peer: { rule: 'private-use', network: '10.0.0.0/8', address } }),
  )
  assert.deepEqual(JSON.parse(lines[0]!.replace('info request refused ', '')), {
    method: 'CreatePermission',
    code: 403,
    reason: 'peer-special:private-use',
    peer: '10.1.2.3:40000',
    network: '10.0.0.0/8',
    client: '198.51.100.1:4000',
    transport: 'udp',
    user: 'alice',
  })
})

test('a credential that is refused is news, a stale nonce is none', () => {
  const { lines, log } = logAt('info')
  log.write(refused('stale-nonce'))
  assert.equal(lines.length, 0)
  for (const reason of ['unknown-user', 'expired-credential', 'wrong-password'] as const)
    log.write(refused(reason))
  assert.equal(lines.length, 3)
})

test('of each reason ten lines in ten seconds are written, the rest counted', () => {
  const { lines, clock, log } = logAt('info')
  for (let i = 0; i < 500; i++) log.write(refused('peer-special'))
  assert.equal(lines.length, 10)
  log.write(refused('user-quota'))
  assert.match(lines[10]!, /user-quota/)
  clock.ms = 10_000
  log.write(refused('peer-special'))
  assert.match(lines[11]!, /"suppressed":490/)
})
