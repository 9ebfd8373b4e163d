import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inClusterConnection, kubeconfigConnection } from './credentials.ts'

const directory = mkdtempSync(join(tmpdir(), 'turnfleet-test-'))
after(() => rmSync(directory, { recursive: true }))

function write(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

test('in a pod the mounted service account is used', async () => {
  for (const [name, text] of Object.entries({
    token: 'secret-token\n',
    'ca.crt': 'CA',
    namespace: 'turnfleet',
  }))
    write(name, text)
  const connection = await inClusterConnection(
    { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' },
    directory,
  )
  assert.equal(connection?.server, 'https://[fd00::1]:6443')
  assert.equal(connection?.namespace, 'turnfleet')
  assert.deepEqual(await connection?.options(), {
    headers: { Authorization: 'Bearer secret-token' },
    tls: { ca: 'CA' },
  })
  assert.equal(await inClusterConnection({}, directory), undefined)
})

test('a kubeconfig gives its server, namespace and credentials', async () => {
  const path = write(
    'config',
    JSON.stringify({
      clusters: [
        {
          name: 'c',
          cluster: { server: 'https://203.0.113.1:6443/', 'certificate-authority-data': btoa('CA') },
        },
      ],
      users: [{ name: 'u', user: { token: 't' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'turn' } }],
      'current-context': 'x',
    }),
  )
  const connection = await kubeconfigConnection(path)
  assert.equal(connection.server, 'https://203.0.113.1:6443')
  assert.equal(connection.namespace, 'turn')
  const { headers, tls } = await connection.options()
  assert.deepEqual(headers, { Authorization: 'Bearer t' })
  assert.deepEqual(String(tls.ca), 'CA')
})

test('a kubeconfig that cannot be used is refused with a sentence', async () => {
  await assert.rejects(
    kubeconfigConnection(join(directory, 'absent')),
    /the kubeconfig cannot be read: .*absent/,
  )
  const empty = write(
    'empty',
    JSON.stringify({ clusters: [], users: [], contexts: [], 'current-context': '' }),
  )
  await assert.rejects(kubeconfigConnection(empty), /names no current cluster/)
})
