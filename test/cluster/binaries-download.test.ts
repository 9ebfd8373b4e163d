import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { downloadBinaries, type Origins } from './binaries-download.ts'

const work = mkdtempSync(join(tmpdir(), 'turnfleet-test-'))
const files = new Map<string, Buffer>()
const server = createServer((request, response) => {
  const body = files.get(request.url ?? '')
  response.writeHead(body ? 200 : 404).end(body)
})
const machine = { os: 'linux', architecture: 'amd64' }
let origins: Origins

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const bin = join(work, 'controller-tools', 'envtest')
  mkdirSync(bin, { recursive: true })
  for (const name of ['etcd', 'kube-apiserver', 'kubectl']) writeFileSync(join(bin, name), `#!${name}`)
  const archive = execFileSync('tar', ['-cz', '-C', work, 'controller-tools'])
  files.set('/envtest-v1.34.1/envtest-v1.34.1-linux-amd64.tar.gz', archive)
  const manager = Buffer.from('#!kube-controller-manager')
  const path = '/v1.34.1/bin/linux/amd64/kube-controller-manager'
  files.set(path, manager)
  files.set(`${path}.sha256`, Buffer.from(createHash('sha256').update(manager).digest('hex')))
  const envtestSha512 = { 'linux-amd64': createHash('sha512').update(archive).digest('hex') }
  origins = { envtest: origin, kubernetes: origin, helm: origin, envtestSha512 }
})

after(() => {
  server.close()
  server.closeAllConnections()
  rmSync(work, { recursive: true })
})

test('programs of the envtest archive and published ones come together, runnable', async () => {
  const directory = mkdtempSync(join(work, 'into-'))
  await downloadBinaries(['etcd', 'kubectl', 'kube-controller-manager'], directory, machine, origins)
  assert.deepEqual(readdirSync(directory).sort(), ['etcd', 'kube-controller-manager', 'kubectl'])
  assert.equal(readFileSync(join(directory, 'kubectl'), 'utf8'), '#!kubectl')
  assert.equal(statSync(join(directory, 'kube-controller-manager')).mode & 0o111, 0o111)
})

test('an archive of another checksum is refused and nothing is left', async () => {
  const directory = mkdtempSync(join(work, 'into-'))
  const forged = { ...origins, envtestSha512: { 'linux-amd64': 'ab'.repeat(64) } }
  await assert.rejects(downloadBinaries(['etcd'], directory, machine, forged), /has sha512 .*, not abab/)
  assert.deepEqual(readdirSync(directory), [])
})

test('a file that is not there is named', async () => {
  const directory = mkdtempSync(join(work, 'into-'))
  await assert.rejects(downloadBinaries(['kubelet'], directory, machine, origins), /kubelet.* answered 404/)
})
