import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShardEvent } from '../shard/shard.ts'
import { TransportAddress } from '../stun/address.ts'
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

const refused = (code: number): ShardEvent => ({
  kind: 'refused',
  method: 'CreatePermission',
  code,
  reason: 'peer-special',
  link: 1,
  client: CLIENT,
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
    relayed: [],
  },
}

test("clients' addresses are written at debug only", () => {
  const quiet = logAt('info')
  quiet.log.write(opened)
  quiet.log.write(refused(403))
  assert.deepEqual(quiet.lines.length, 1)
  assert.doesNotMatch(quiet.lines.join(), /198\.51\.100\.1/)
  const loud = logAt('debug')
  loud.log.write(opened)
  assert.match(loud.lines[0]!, /^debug allocation-opened .*"client":"198\.51\.100\.1:4000"/)
})

test('refusals are written ten in ten seconds, the rest counted, and challenges never', () => {
  const { lines, clock, log } = logAt('info')
  log.write(refused(401))
  log.write(refused(438))
  for (let i = 0; i < 500; i++) log.write(refused(403))
  assert.equal(lines.length, 10)
  clock.ms = 10_000
  log.write(refused(403))
  assert.match(lines[10]!, /"suppressed":490/)
})
