import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call, Result } from './messages.ts'
import { WorkerHandOver } from './worker-hand-over.ts'

const HANDED = [1, 2].map((descriptor) => ({
  sockets: [{ transport: 'udp' as const, address: '192.0.2.1', port: 3478, descriptor }],
  cookieSecrets: [Uint8Array.of(descriptor)],
}))

/** Loops that note what they are asked for; `fails` releases nothing. */
function loops(fails?: number) {
  const asked: string[] = []
  const shards = HANDED.map((handed, index) => ({
    ask: async (call: Call): Promise<Result> => {
      assert.equal(call.kind, 'hand-over')
      if (call.kind !== 'hand-over') return {}
      asked.push(`${call.step} ${index}`)
      if (call.step !== 'release') return {}
      if (index === fails) throw new Error('it died')
      return { handed }
    },
  }))
  return { asked, handOver: new WorkerHandOver({ shards, set: () => {}, gone: () => {} }) }
}

test('the successor gets the sockets of all loops, and what their DTLS cookies are made with', async () => {
  const released = await loops().handOver.release()
  assert.deepEqual(
    released.sockets.map(({ descriptor }) => descriptor),
    [1, 2],
  )
  assert.deepEqual(released.cookieSecrets, [Uint8Array.of(1), Uint8Array.of(2)])
})

test('where one loop cannot release its listeners, all take theirs back', async () => {
  const { asked, handOver } = loops(1)
  await assert.rejects(handOver.release(), /it died/)
  assert.deepEqual(asked, ['release 0', 'release 1', 'resume 0', 'resume 1'])
})
