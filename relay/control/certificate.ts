import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { TlsMaterial } from '../io/io.ts'

export interface Certificate {
  readonly material: TlsMaterial
  /** SHA-256 of the leaf, hex. */
  readonly fingerprint: string
  readonly notAfterMs: number
}

/** Reads a certificate chain and its key; throws an Error with a sentence where they do not serve. */
export function readCertificate(certFile: string, keyFile: string): Certificate {
  const cert = readFileSync(certFile, 'utf8')
  const key = readFileSync(keyFile, 'utf8')
  const leaf = parse(() => new X509Certificate(cert), `${certFile} holds no PEM certificate`)
  const privateKey = parse(() => createPrivateKey(key), `${keyFile} holds no unencrypted PEM private key`)
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new Error(
      `the key in ${keyFile} does not belong to the certificate in ${certFile}; write both at once`,
    )
  }
  parse(() => createSecureContext({ cert, key }), `${certFile} holds a chain that TLS cannot use`)
  return {
    material: { cert, key },
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    notAfterMs: Date.parse(leaf.validTo),
  }
}

function parse<T>(read: () => T, otherwise: string): T {
  try {
    return read()
  } catch (error) {
    throw new Error(`${otherwise} (${(error as Error).message})`)
  }
}
