import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runHandOvers } from './run.ts'

for (const workers of [[1], [2, 2, 3, 1]]) {
  test(`listeners are handed over and nobody notices (event loops: ${workers.join(', ')})`, {
    skip: process.platform !== 'linux',
    timeout: 60_000,
  }, async () => {
    const report = await runHandOvers({
      allocations: 56,
      packetsPerSecond: 20,
      handOvers: 3,
      workers,
      furtherAllocations: 8,
      newcomersEveryMs: 20,
      pauseMs: 200,
    })
    const { lost, bufferDrops, dead, allocations, expected, refused, newcomersServed } = report
    assert.ok(
      lost <= bufferDrops,
      `lost ${lost} of ${report.sent}: ${JSON.stringify(report.lostByTransport)}`,
    )
    assert.equal(dead, 0)
    assert.equal(allocations, expected)
    assert.deepEqual(refused, [])
    assert.ok(newcomersServed > 0)
  })
}
