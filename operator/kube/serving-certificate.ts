import { createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP, SocketAddress } from 'node:net'
import { FIELD_MANAGER, LABEL_MANAGED_BY, LABEL_NAME } from '../api/labels.ts'
import { isStatus, type KubeClient } from './client.ts'
import { collectionPath, objectPath, type SecretObject } from './objects.ts'

const RENEW_BEFORE_MS = 90 * 24 * 3600_000
const ATTEMPTS_MAX = 5
const MANAGER = 'turnfleet'

/** What the operator's HTTPS server shows, and what relays trust it by. */
export interface ServingCertificate {
  cert: string
  key: string
  /** Certificate authorities, PEM: the present one, and the one before it while certificates of it may be in use. */
  caPem: string
}

export interface ServingOptions {
  namespace: string
  secretName: string
  /** Host names and addresses that the certificate must carry. */
  names: readonly string[]
  wallMs: () => number
}

type SecretClient = Pick<KubeClient, 'find' | 'request'>
type Entries = Record<'ca.crt' | 'ca.key' | 'tls.crt' | 'tls.key', string>

/**
 * The certificate in the operator's own Secret, made or renewed where it is needed. Replicas share it: who is
 * later takes what the first one wrote.
 */
export async function loadServingCertificate(
  client: SecretClient,
  options: ServingOptions,
): Promise<ServingCertificate> {
  const secret: SecretObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: options.secretName,
      namespace: options.namespace,
      labels: { [LABEL_NAME]: MANAGER, [LABEL_MANAGED_BY]: MANAGER },
    },
  }
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const stored = await client.find<SecretObject>(objectPath(secret))
    const entries = entriesOf(stored)
    if (stored?.data && stored.metadata.labels?.[LABEL_MANAGED_BY] !== MANAGER)
      throw new Error(
        `Secret ${options.namespace}/${options.secretName} is not turnfleet's: name another one`,
      )
    const renewed = await renew(entries, options)
    if (!renewed) return serving(entries as Entries)
    try {
      await write(client, secret, stored, renewed)
      return serving(renewed)
    } catch (error) {
      if (!isStatus(error, 409)) throw error
    }
  }
  throw new Error(
    `Secret ${options.namespace}/${options.secretName} changes all the time: is another operator using it?`,
  )
}

/** Undefined where everything is good as it is. */
async function renew(
  entries: Partial<Entries>,
  { names, wallMs }: ServingOptions,
): Promise<Entries | undefined> {
  const nowMs = wallMs()
  const authorityIsGood = isGoodPair(firstPem(entries['ca.crt']), entries['ca.key'], nowMs)
  if (authorityIsGood && isGoodServing(entries, names, nowMs)) return undefined
  // Loaded only here: making a certificate is rare, and the library is large.
  const { issueServing, makeAuthority } = await import('./certificate-authority.ts')
  const authority = authorityIsGood
    ? { cert: firstPem(entries['ca.crt'])!, key: entries['ca.key']! }
    : await makeAuthority('turnfleet-operator-ca', nowMs)
  const before = authorityIsGood ? undefined : firstPem(entries['ca.crt'])
  const { cert, key } = await issueServing(authority, names, nowMs)
  const bundle = authorityIsGood
    ? entries['ca.crt']!
    : [authority.cert, ...(before ? [before] : [])].join('\n')
  return { 'ca.crt': bundle, 'ca.key': authority.key, 'tls.crt': cert, 'tls.key': key }
}

async function write(
  client: SecretClient,
  secret: SecretObject,
  stored: SecretObject | undefined,
  entries: Entries,
): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(entries).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  )
  const { name, namespace = '', labels } = secret.metadata
  const query = { fieldManager: FIELD_MANAGER }
  if (!stored) {
    const path = collectionPath('v1', 'Secret', namespace)
    await client.request({
      method: 'POST',
      path,
      query,
      body: { ...secret, type: 'kubernetes.io/tls', data },
    })
    return
  }
  // The resource version makes it a conflict when another replica has written meanwhile.
  const { resourceVersion } = stored.metadata
  const body = { metadata: { name, resourceVersion, labels }, data }
  const contentType = 'application/merge-patch+json'
  await client.request({ method: 'PATCH', path: objectPath(secret), query, body, contentType })
}

function isGoodServing(entries: Partial<Entries>, names: readonly string[], nowMs: number): boolean {
  if (!isGoodPair(entries['tls.crt'], entries['tls.key'], nowMs)) return false
  const certificate = new X509Certificate(entries['tls.crt']!)
  const authority = new X509Certificate(firstPem(entries['ca.crt'])!)
  if (!certificate.verify(authority.publicKey)) return false
  const carried = (certificate.subjectAltName ?? '')
    .split(', ')
    .map((name) => normal(name.replace(/^[^:]*:/, '')))
  return names.every((name) => carried.includes(normal(name)))
}

function isGoodPair(cert: string | undefined, key: string | undefined, nowMs: number): boolean {
  if (!cert || !key) return false
  try {
    const certificate = new X509Certificate(cert)
    const ends = certificate.validToDate.getTime()
    return ends - nowMs > RENEW_BEFORE_MS && certificate.checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function serving(entries: Entries): ServingCertificate {
  return { cert: entries['tls.crt'], key: entries['tls.key'], caPem: entries['ca.crt'] }
}

function entriesOf(secret: SecretObject | undefined): Partial<Entries> {
  return Object.fromEntries(
    Object.entries(secret?.data ?? {}).map(([name, text]) => [name, Buffer.from(text, 'base64').toString()]),
  )
}

function firstPem(bundle: string | undefined): string | undefined {
  return /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(bundle ?? '')?.[0]
}

/** OpenSSL writes IPv6 addresses in another form than people do. */
function normal(name: string): string {
  return isIP(name) === 6 ? new SocketAddress({ address: name, family: 'ipv6' }).address : name
}
