import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { parse } from 'yaml'
import { contentHash } from '../api/hash.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import type { Judged, KeyRing, TlsCertificate } from '../controller/contract.ts'
import { generateKeyRing, judgeKeyRing } from '../credentials/key-ring.ts'
import { KEY_RING_ENTRY, keyRingText } from '../specs/key-ring-secret.ts'
import { keyRingSecretName } from '../specs/names.ts'
import { isSelfSigned, judgeCertificate, needsRenewal, selfSignedCertificate } from './certificate.ts'
import { readIfPresent, type StateDirectory, writeAtomically } from './state-directory.ts'

/** Key rings and certificates of standalone mode: files where Kubernetes has Secrets. */
export class ClusterSecrets {
  readonly #state: StateDirectory

  constructor(state: StateDirectory) {
    this.#state = state
  }

  /** What browsers will say of the certificate of this cluster; undefined: nothing. */
  async certificateHint(cluster: TurnCluster): Promise<string | undefined> {
    const paths = this.tlsPaths(cluster)
    const cert = paths && (await readIfPresent(paths.certFile))
    if (!paths || cert === undefined || !isSelfSigned(cert)) return undefined
    return (
      'Browsers refuse a self-signed certificate for turns:, without asking. TCP and UDP need none; for TLS put ' +
      `tls.crt and tls.key of a public authority into ${dirname(paths.certFile)}.`
    )
  }

  keyRingPath(cluster: TurnCluster): string {
    return this.#state.secret(cluster.metadata.namespace, keyRingSecretName(cluster), KEY_RING_ENTRY)
  }

  tlsPaths({ metadata, spec }: TurnCluster): { certFile: string; keyFile: string } | undefined {
    if (!spec.tls) return undefined
    const path = (entry: string) => this.#state.secret(metadata.namespace, spec.tls?.secretName ?? '', entry)
    return { certFile: path('tls.crt'), keyFile: path('tls.key') }
  }

  createKeyRing(cluster: TurnCluster): void {
    writeAtomically(this.keyRingPath(cluster), keyRingText(generateKeyRing(randomBytes)))
  }

  async keyRing(cluster: TurnCluster): Promise<Judged<KeyRing>> {
    const path = this.keyRingPath(cluster)
    const text = await readIfPresent(path)
    if (text === undefined) return { state: 'absent' }
    const judged = judgeKeyRing(parsedYaml(text))
    if ('ring' in judged) return { state: 'valid', value: judged.ring, contentHash: contentHash(text) }
    const advice = 'mend it, or remove it to have a new one made'
    return { state: 'malformed', message: `${path}: ${judged.message}: ${advice}` }
  }

  /** The certificate of the cluster; a self-signed one is made where there is none, and renewed in time. */
  async certificate(
    cluster: TurnCluster,
    addresses: readonly string[],
    nowMs: number,
  ): Promise<Judged<TlsCertificate> | undefined> {
    const paths = this.tlsPaths(cluster)
    if (!paths) return undefined
    const [cert, key] = await Promise.all([readIfPresent(paths.certFile), readIfPresent(paths.keyFile)])
    const names = ['localhost', hostname(), '127.0.0.1', ...addresses]
    const wanted = cert === undefined && key === undefined
    if (!wanted && !(cert !== undefined && needsRenewal(cert, names, nowMs))) {
      return judgeCertificate({
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
      })
    }
    const made = await selfSignedCertificate([...new Set(names)], nowMs)
    writeAtomically(paths.keyFile, made.key)
    writeAtomically(paths.certFile, made.cert, 0o644)
    return judgeCertificate(made)
  }
}

function parsedYaml(text: string): unknown {
  try {
    return parse(text)
  } catch {
    return undefined
  }
}
