import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reviewRelayToken, reviewToken } from './access.ts'
import type { KubeRequest } from './client.ts'

const AUDIENCE = 'turnfleet.dev/operator'
const user = {
  username: 'system:serviceaccount:turn:default',
  extra: { 'authentication.kubernetes.io/pod-uid': ['pod-1'] },
}

function answering(status: object) {
  const asked: KubeRequest[] = []
  const client = {
    request: async <T>(wanted: KubeRequest) => {
      asked.push(wanted)
      return { status } as T
    },
  }
  return { client, asked }
}

test('a relay is the pod that its token is bound to, in the namespace of its account', async () => {
  const { client, asked } = answering({ authenticated: true, audiences: [AUDIENCE], user })
  assert.deepEqual(await reviewRelayToken(client, 't', AUDIENCE), { uid: 'pod-1', namespace: 'turn' })
  assert.partialDeepStrictEqual(asked[0]?.body, { spec: { token: 't', audiences: [AUDIENCE] } })
})

test('a token that is not accepted, or for somebody else, or of no pod, is no relay’s', async () => {
  const cases = [
    { authenticated: false },
    {},
    // An API server that does not know audiences answers without any.
    { authenticated: true, user },
    { authenticated: true, audiences: ['vault'], user },
    { authenticated: true, audiences: [AUDIENCE], user: { username: user.username } },
    { authenticated: true, audiences: [AUDIENCE], user: { ...user, username: 'system:node:n1' } },
  ]
  for (const status of cases)
    assert.equal(
      await reviewRelayToken(answering(status).client, 't', AUDIENCE),
      undefined,
      JSON.stringify(status),
    )
})

test('without an audience the API server’s own counts', async () => {
  const { client, asked } = answering({
    authenticated: true,
    audiences: ['https://kubernetes.default.svc'],
    user,
  })
  assert.equal((await reviewToken(client, 't'))?.username, user.username)
  assert.deepEqual(asked[0]?.body, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: 't' },
  })
})
