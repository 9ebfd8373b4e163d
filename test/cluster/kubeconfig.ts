import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyPair } from './pki.ts'

/** Writes `<directory>/<name>.conf`, complete in itself, and returns its path. */
export async function writeKubeconfig(
  directory: string,
  name: string,
  url: string,
  caPem: string,
  credential: KeyPair | { token: string },
): Promise<string> {
  const user =
    'token' in credential
      ? { token: credential.token }
      : { 'client-certificate-data': base64(credential.cert), 'client-key-data': base64(credential.key) }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority-data': base64(caPem) } }],
    users: [{ name, user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: name } }],
    'current-context': 'test',
  }
  const path = join(directory, `${name}.conf`)
  await writeFile(path, JSON.stringify(config), { mode: 0o600 })
  return path
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
