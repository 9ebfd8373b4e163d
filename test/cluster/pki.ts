import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** A certificate with its key, both PEM. */
export interface KeyPair {
  cert: string
  key: string
}

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' }
const SIGNING_ALGORITHM = { ...KEY_ALGORITHM, hash: 'SHA-256' }
const DAY_MS = 24 * 3600_000
const VALIDITY_DAYS = 30

export interface CertificateRequest {
  commonName: string
  organization?: string
  names?: JsonGeneralNames
  notBefore?: Date
  notAfter?: Date
}

/** A certificate authority for one test. */
export class TestAuthority {
  readonly certificate: X509Certificate
  readonly pair: KeyPair
  readonly #keys: webcrypto.CryptoKeyPair

  private constructor(certificate: X509Certificate, pair: KeyPair, keys: webcrypto.CryptoKeyPair) {
    this.certificate = certificate
    this.pair = pair
    this.#keys = keys
  }

  static async make(commonName = 'turnfleet-test-ca'): Promise<TestAuthority> {
    const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
    const certificate = await X509CertificateGenerator.createSelfSigned(
      {
        name: `CN=${commonName}`,
        keys,
        signingAlgorithm: SIGNING_ALGORITHM,
        ...validity(),
        extensions: [
          new BasicConstraintsExtension(true, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        ],
      },
      webcrypto,
    )
    return new TestAuthority(
      certificate,
      { cert: certificate.toString('pem'), key: await keyPem(keys) },
      keys,
    )
  }

  async issue(request: CertificateRequest): Promise<KeyPair> {
    const keys = await webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify'])
    const subject = [
      { CN: [request.commonName] },
      ...(request.organization ? [{ O: [request.organization] }] : []),
    ]
    const certificate = await X509CertificateGenerator.create(
      {
        subject,
        issuer: this.certificate.subject,
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        signingAlgorithm: SIGNING_ALGORITHM,
        ...validity(request.notBefore, request.notAfter),
        extensions: [
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          await AuthorityKeyIdentifierExtension.create(this.certificate, false, webcrypto),
          ...(request.names ? [new SubjectAlternativeNameExtension(request.names)] : []),
        ],
      },
      webcrypto,
    )
    return { cert: certificate.toString('pem'), key: await keyPem(keys) }
  }
}

function validity(notBefore = new Date(Date.now() - DAY_MS), notAfter?: Date) {
  return { notBefore, notAfter: notAfter ?? new Date(Date.now() + VALIDITY_DAYS * DAY_MS) }
}

async function keyPem(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
}
