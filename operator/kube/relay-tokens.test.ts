import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { RelayTokens } from './relay-tokens.ts'

const AUDIENCE = 'turnfleet.dev/operator'
let reviews: number
let nowMs: number
let pods: Set<string>
let synced: boolean
let tokens: RelayTokens

beforeEach(() => {
  reviews = 0
  nowMs = 1_000_000
  pods = new Set(['pod-1'])
  synced = true
  const client = {
    request: async <T>() => {
      reviews += 1
      const extra = { 'authentication.kubernetes.io/pod-uid': ['pod-1'] }
      const user = { username: 'system:serviceaccount:turn:default', extra }
      return { status: { authenticated: true, audiences: [AUDIENCE], user } } as T
    },
  }
  tokens = new RelayTokens(client, {
    hasSynced: () => synced,
    hasRelay: (namespace, uid) => namespace === 'turn' && pods.has(uid),
    wallMs: () => nowMs,
  })
})

const token = (endsAtMs: number) =>
  `x.${Buffer.from(JSON.stringify({ exp: endsAtMs / 1000 })).toString('base64url')}.y`

test('a token is reviewed once, until it ends', async () => {
  const good = token(nowMs + 600_000)
  for (let i = 0; i < 10; i++)
    assert.deepEqual(await tokens.review(good), { uid: 'pod-1', namespace: 'turn' })
  assert.equal(reviews, 1)
  nowMs += 600_001
  await tokens.review(good)
  assert.equal(reviews, 2)
})

test('a token whose pod is gone is no good at once', async () => {
  const good = token(nowMs + 600_000)
  await tokens.review(good)
  pods.clear()
  assert.equal(await tokens.review(good), undefined)
  assert.equal(reviews, 1)
})

test('before the pods are known a relay is asked to come again', async () => {
  synced = false
  await assert.rejects(tokens.review(token(nowMs + 600_000)), /does not know namespace turn yet/)
})

test('a token without an end is reviewed each time', async () => {
  for (let i = 0; i < 3; i++) await tokens.review('opaque')
  assert.equal(reviews, 3)
})
