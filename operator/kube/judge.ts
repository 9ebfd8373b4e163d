import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { parse } from 'yaml'
import type { Judged, KeyRing, TlsCertificate } from '../controller/contract.ts'
import { judgeKeyRing as judgeRing } from '../credentials/key-ring.ts'
import { KEY_RING_ENTRY } from '../specs/key-ring-secret.ts'
import { isStatus } from './client.ts'
import type { SecretObject } from './objects.ts'

/** The key ring in a Secret, judged as the relays will judge it. */
export function judgeKeyRing(secret: SecretObject | undefined): Judged<KeyRing> {
  if (!secret) return { state: 'absent' }
  const text = entry(secret, KEY_RING_ENTRY)
  if (text === undefined) return malformed(`it has no entry ${KEY_RING_ENTRY}`)
  let content: unknown
  try {
    content = parse(text)
  } catch {
    // The parser quotes what it could not read, and that is secret.
    return malformed(`${KEY_RING_ENTRY} is not YAML`)
  }
  const judged = judgeRing(content)
  if ('message' in judged) return malformed(judged.message)
  return { state: 'valid', value: judged.ring, contentHash: sha256(text) }
}

/** The certificate and key in a Secret of type kubernetes.io/tls. */
export function judgeTls(secret: SecretObject | undefined): Judged<TlsCertificate> {
  if (!secret) return { state: 'absent' }
  const certPem = entry(secret, 'tls.crt')
  const keyPem = entry(secret, 'tls.key')
  if (!certPem) return malformed('it has no entry tls.crt')
  if (!keyPem) return malformed('it has no entry tls.key')
  const certificate = attempt(() => new X509Certificate(certPem))
  if (!certificate) return malformed('tls.crt is not a PEM certificate')
  const key = attempt<KeyObject>(() => createPrivateKey(keyPem))
  if (!key) return malformed('tls.key is not an unencrypted PEM private key')
  if (!certificate.checkPrivateKey(key)) return malformed('tls.key does not belong to tls.crt')
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
  const value = {
    names: subjectNames(certificate),
    notAfterMs: certificate.validToDate.getTime(),
    fingerprint,
  }
  return { state: 'valid', value, contentHash: sha256(certPem + keyPem) }
}

/** Where reading was refused the cluster goes on with what its relays have; other faults are tried again. */
export function judgeReadError(error: unknown): { state: 'malformed'; message: string } {
  if (isStatus(error, 403)) return malformed((error as Error).message)
  throw error
}

function subjectNames({ subjectAltName, subject }: X509Certificate): string[] {
  const names = (subjectAltName ?? '')
    .split(', ')
    .flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? [])
  if (names.length > 0) return names
  return /^CN=(.+)$/m.exec(subject ?? '')?.slice(1) ?? []
}

function entry(secret: SecretObject, name: string): string | undefined {
  const encoded = secret.data?.[name]
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString()
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

function malformed(message: string): { state: 'malformed'; message: string } {
  return { state: 'malformed', message }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
