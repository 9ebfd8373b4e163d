import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROL_PLANE_BINARIES, chooseSources, type Machine, missingSentence } from './binaries-choice.ts'

const bare: Machine = {
  os: 'linux',
  architecture: 'amd64',
  assets: new Set(),
  cached: new Set(),
  goVersion: undefined,
}
const GO = 'go version go1.26.8 linux/amd64'
const ENVTEST = new Set(['etcd', 'kube-apiserver', 'kubectl'])

test('KUBEBUILDER_ASSETS wins over the cache and is completed from it', () => {
  const choice = chooseSources(CONTROL_PLANE_BINARIES, {
    ...bare,
    assets: ENVTEST,
    cached: new Set(['kube-apiserver', 'kube-controller-manager']),
  })
  assert.deepEqual(choice, {
    fromAssets: ['etcd', 'kube-apiserver', 'kubectl'],
    fromCache: ['kube-controller-manager'],
    missing: [],
    ways: [],
  })
})

test('what is missing is built with Go, and downloaded where that fails', () => {
  const choice = chooseSources(CONTROL_PLANE_BINARIES, { ...bare, cached: ENVTEST, goVersion: GO })
  assert.deepEqual(choice.missing, ['kube-controller-manager'])
  assert.deepEqual(choice.ways, ['build', 'download'])
})

test('an old Go is not tried', () => {
  for (const goVersion of ['go version go1.19.8 linux/amd64', 'nonsense', undefined])
    assert.deepEqual(chooseSources(['etcd'], { ...bare, goVersion }).ways, ['download'])
})

test('nothing is downloaded for a machine nothing is published for', () => {
  assert.deepEqual(chooseSources(['etcd'], { ...bare, architecture: 'riscv64' }).ways, [])
  assert.deepEqual(chooseSources(['kubelet'], { ...bare, os: 'darwin' }).ways, [])
  assert.deepEqual(chooseSources(['etcd'], { ...bare, os: 'darwin', architecture: 'arm64' }).ways, [
    'download',
  ])
})

test('where no way is left one sentence says what to install', () => {
  assert.equal(
    missingSentence(['etcd', 'kubectl'], ['download: no route']),
    'The tests need etcd, kubectl of Kubernetes 1.34.2 (tried: download: no route): install Go 1.24 or newer from ' +
      'https://go.dev/dl so that they can be built, or set KUBEBUILDER_ASSETS to a directory that holds them.',
  )
})
