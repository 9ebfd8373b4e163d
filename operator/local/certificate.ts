import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { isIP, SocketAddress } from 'node:net'
import * as x509 from '@peculiar/x509'
import type { Judged, TlsCertificate } from '../controller/contract.ts'

const ISSUER = 'turnfleet self-signed'
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
/** Browsers refuse server certificates that live longer than 398 days. */
const LIFETIME_MS = 390 * 86_400_000
const RENEW_BEFORE_MS = 30 * 86_400_000
/** A clock that is a little behind must not refuse it. */
const BACKDATE_MS = 3_600_000

export interface CertificatePair {
  cert: string
  key: string
}

/** Makes a certificate for these host names and IP addresses, signed by itself. */
export async function selfSignedCertificate(
  names: readonly string[],
  nowMs: number,
): Promise<CertificatePair> {
  x509.cryptoProvider.set(webcrypto)
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${randomBytes(8).toString('hex')}`,
    name: `CN=${ISSUER}`,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + LIFETIME_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
      ),
    ],
  })
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return {
    cert: `${certificate.toString('pem')}\n`,
    key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  }
}

/** True where the pair is one of ours that no longer fits: it ends soon, or does not name all of `names`. */
export function needsRenewal(cert: string, names: readonly string[], nowMs: number): boolean {
  const parsed = parse(cert)
  if (!parsed || parsed.issuer !== `CN=${ISSUER}`) return false
  const known = subjectNames(parsed)
  return (
    parsed.validToDate.getTime() - nowMs < RENEW_BEFORE_MS || !names.every((name) => known.includes(name))
  )
}

/** True where no authority vouches for the certificate, so that browsers refuse it for `turns:`. */
export function isSelfSigned(cert: string): boolean {
  const parsed = parse(cert)
  return parsed !== undefined && parsed.issuer === parsed.subject
}

/** What the pair is good for, or in words why it is no use. */
export function judgeCertificate(pair: Partial<CertificatePair>): Judged<TlsCertificate> {
  if (pair.cert === undefined && pair.key === undefined) return { state: 'absent' }
  const parsed = parse(pair.cert ?? '')
  if (!parsed) return { state: 'malformed', message: 'tls.crt holds no certificate in PEM form' }
  try {
    if (!parsed.checkPrivateKey(createPrivateKey(pair.key ?? ''))) {
      return { state: 'malformed', message: 'tls.key is not the key of the certificate in tls.crt' }
    }
  } catch {
    return { state: 'malformed', message: 'tls.key holds no private key in PEM form' }
  }
  const fingerprint = parsed.fingerprint256.replaceAll(':', '').toLowerCase()
  const value = { names: subjectNames(parsed), notAfterMs: parsed.validToDate.getTime(), fingerprint }
  return { state: 'valid', value, contentHash: fingerprint }
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function subjectNames({ subjectAltName }: X509Certificate): string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .map((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .map((name) => (isIP(name) === 6 ? new SocketAddress({ address: name, family: 'ipv6' }).address : name))
}
