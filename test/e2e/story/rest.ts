import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { OPERATOR, refusalsOf, residentMiB, writesOf } from '../fleet.ts'
import { figure, type Story } from './story.ts'

/** The load figures of the status follow the last allocations. */
const SETTLE_MS = 15_000
const IDLE_SECONDS = 300
const OPERATOR_MIB_MAX = 150

/** An operator with nothing to do writes nothing, and never asked for what it has no right to. */
export async function stayIdle({ world }: Story): Promise<void> {
  await wait(SETTLE_MS)
  const since = Date.now()
  await wait(IDLE_SECONDS * 1000)
  const writes = await writesOf(world, OPERATOR, since)
  figure(`writes in ${IDLE_SECONDS} idle seconds`, writes.length, '')
  assert.deepEqual(writes, [])
  assert.deepEqual(await refusalsOf(world, OPERATOR), [])
  for (const size of await residentMiB('/app/relay/main.ts')) figure('relay after the load', size, 'MiB')
  for (const size of await residentMiB('/app/operator/main.ts')) {
    figure('operator', size, 'MiB')
    assert.ok(size <= OPERATOR_MIB_MAX)
  }
}
