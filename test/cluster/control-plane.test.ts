import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { OBJECT_CONTROLLERS, startControlPlane } from './control-plane.ts'

const READY_MS_MAX = 20_000

test('a control plane starts, issues and reviews service-account tokens, survives a restart, and leaves nothing', async () => {
  const startedAt = performance.now()
  const plane = await startControlPlane({ controllers: OBJECT_CONTROLLERS })
  const readyMs = performance.now() - startedAt
  try {
    console.log(`control plane ready after ${(readyMs / 1000).toFixed(1)} s`)
    assert.ok(readyMs < READY_MS_MAX)
    await plane.kubectl(['create', 'serviceaccount', 'relay'])
    const token = (
      await plane.kubectl(['create', 'token', 'relay', '--audience=turnfleet.dev/operator'])
    ).trim()
    const review = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: ['turnfleet.dev/operator'] },
    }
    const reviewed = JSON.parse(
      await plane.kubectl(['create', '-o', 'json', '-f', '-'], JSON.stringify(review)),
    )
    assert.equal(reviewed.status.authenticated, true)
    assert.equal(reviewed.status.user.username, 'system:serviceaccount:default:relay')

    await plane.restart('kube-apiserver')
    assert.match(await plane.kubectl(['get', 'serviceaccounts']), /relay/)
    const user = await plane.kubeconfigForUser('nobody')
    await assert.rejects(plane.kubectl(['--kubeconfig', user, 'get', 'secrets']), /forbidden/i)
  } finally {
    await plane.stop()
  }
  assert.equal(existsSync(plane.directory), false)
})
