import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RelayConfigInput, relayConfig } from '../api/config.ts'
import type { RelayIo } from '../io/io.ts'
import { LocalShard } from './local-shard.ts'

const HOST = { relayAddresses: [{ bind: '127.0.0.1', advertise: '127.0.0.1' }], own: ['127.0.0.1'] }

function configOf(changes: Partial<RelayConfigInput>) {
  return relayConfig.parse({
    realm: 'example.org',
    listeners: [{ protocol: 'udp', port: 3478 }],
    relay: {},
    ...changes,
  })
}

test('what becomes of the DSCP (RFC 8656 §14) goes to the I/O layer, at the start and whenever it changes', () => {
  const kept: boolean[] = []
  const io = {
    setStreamLimits: () => undefined,
    keepDscp: (keep: boolean) => void kept.push(keep),
  } as unknown as RelayIo
  const config = configOf({ dscp: 'clear' })
  const shard = new LocalShard({ io, config, host: HOST, unixMs: () => 0, onEvent: () => undefined })
  assert.deepEqual(kept, [false])
  shard.configure(configOf({}), HOST)
  assert.deepEqual(kept, [false, true])
})
