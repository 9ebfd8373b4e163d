import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CASES } from './cases/index.ts'
import { conformingRelays, measure } from './docs.ts'
import { runCases } from './run.ts'

for (const datapath of ['auto', 'portable'] as const) {
  test(`our relay keeps every rule of the conformance suite over UDP, TCP and TLS (${datapath})`, async () => {
    const { results } = await measure(await conformingRelays(datapath))
    assert.deepEqual(
      results.filter(({ outcome }) => outcome === 'fail'),
      [],
    )
    assert.deepEqual(
      results.filter(({ outcome }) => outcome === 'skipped'),
      [],
    )
  })
}

test('a server that answers nothing breaks what asks for an answer, in bounded time', async () => {
  const nobody = { ip: '127.0.0.1', port: 9 }
  const cases = CASES.filter(({ id }) => id === 'binding/mapped-address' || id === 'allocate/success')
  const credentials = { username: 'user', password: 'password' }
  const results = await runCases(cases, { server: nobody, transport: 'udp', credentials })
  assert.deepEqual(
    results.map(({ outcome, came }) => [outcome, came]),
    [
      ['fail', 'no answer'],
      ['fail', 'no answer'],
    ],
  )
})

test('a run that has no time left begins no other case', async () => {
  const credentials = { username: 'user', password: 'password' }
  const target = { server: { ip: '127.0.0.1', port: 9 }, transport: 'udp', credentials } as const
  const results = await runCases(CASES, target, 0)
  assert.ok(results.every(({ outcome, came }) => outcome === 'skipped' && came === 'no time left'))
})

test('every case has a name of its own', () => {
  assert.equal(new Set(CASES.map(({ id }) => id)).size, CASES.length)
})
