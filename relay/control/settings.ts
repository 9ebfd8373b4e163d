import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import type { z } from 'zod'
import { type RelayAddress, type RelayConfig, relayAddressesFile, relayConfig } from '../api/config.ts'
import { type CredentialsConfig, type KeyRingFile, keyRingFile } from '../api/credentials-config.ts'
import { realmKey } from '../api/realm-keys.ts'
import { NO_REVOCATIONS, type RevocationList, revocationList } from '../api/revocations.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import { parseYaml } from './yaml-file.ts'

const NO_KEYS: KeyRingFile = { keys: [], nonceKeys: [] }
/** Of a realm: it has no nonces of its own. */
const realmKeyFile = keyRingFile.partial({ nonceKeys: true })

interface RealmRing {
  readonly realm: string
  readonly ring: Pick<KeyRingFile, 'keys' | 'tokenKeys'> | undefined
}

/** Everything that files say, merged: what a relay runs on. */
export interface Settings {
  /** With the keys of `credentials.keysFile` in it. */
  readonly config: RelayConfig
  /** Of `relay.addressesFile` where there is one, else of `relay.addresses`. */
  readonly addresses: readonly RelayAddress[]
  readonly certificate: Certificate | undefined
  /** Of `credentials.revocationsFile`. */
  readonly revocations: RevocationList
}

export type ProblemReason =
  | 'InvalidConfig'
  | 'InvalidKeys'
  | 'InvalidAddresses'
  | 'InvalidCertificate'
  | 'InvalidRevocations'
  | 'ListenFailed'
  | 'EventLoopStuck'

/** Why something newer is not in force. */
export interface Problem {
  readonly reason: ProblemReason
  readonly message: string
}

export interface Loaded {
  readonly settings: Settings
  readonly problems: readonly Problem[]
  /** What to watch. */
  readonly files: readonly string[]
}

/**
 * Reads the configuration file and the files it names. Each of them is refused alone, and what it last said
 * well stays in force: a torn key file does not keep a new certificate away.
 */
export class SettingsFiles {
  readonly #path: string
  #config: RelayConfig | undefined
  #keyRing: KeyRingFile | undefined
  #realmRings: readonly RealmRing[] = []
  #addresses: RelayAddress[] | undefined
  #certificate: Certificate | undefined
  #revocations: RevocationList = NO_REVOCATIONS
  #problems: Problem[] = []

  constructor(path: string) {
    this.#path = resolve(path)
  }

  /** Throws FileRefused where the configuration file has never been good. */
  load(): Loaded {
    this.#problems = []
    this.#config = this.#try('InvalidConfig', () => this.#readYaml(this.#path, relayConfig)) ?? this.#config
    const config = this.#config
    if (!config) throw new Error(this.#problems[0]!.message)
    const { keysFile, revocationsFile } = config.credentials
    const { addressesFile } = config.relay
    this.#keyRing = keysFile
      ? (this.#try('InvalidKeys', () => this.#readYaml(this.#resolve(keysFile), keyRingFile)) ??
        this.#keyRing)
      : undefined
    this.#addresses = addressesFile
      ? (this.#try('InvalidAddresses', () => this.#readAddresses(this.#resolve(addressesFile))) ??
        this.#addresses)
      : undefined
    this.#revocations = revocationsFile
      ? (this.#try('InvalidRevocations', () => this.#readRevocations(this.#resolve(revocationsFile))) ??
        this.#revocations)
      : NO_REVOCATIONS
    this.#realmRings = config.realms.map(({ credentials, realm }) =>
      this.#realmRing(realm, credentials.keysFile),
    )
    const { tls } = config
    this.#certificate = tls
      ? (this.#try('InvalidCertificate', () =>
          readCertificate(this.#resolve(tls.certFile), this.#resolve(tls.keyFile)),
        ) ?? this.#certificate)
      : undefined
    return { settings: this.#merged(config), problems: this.#problems, files: this.#files(config) }
  }

  #merged(config: RelayConfig): Settings {
    const ring = this.#keyRing ?? NO_KEYS
    const { nonceKeys, operator } = config
    const credentials = withRing(config.credentials, ring)
    return {
      config: {
        ...config,
        credentials,
        realms: config.realms.map((realm, index) => ({
          ...realm,
          credentials: withDerivedKeys(
            withRing(realm.credentials, this.#realmRings[index]?.ring ?? NO_KEYS),
            credentials.keys,
            realm.realm,
          ),
        })),
        nonceKeys: [...nonceKeys, ...ring.nonceKeys],
        ...(operator && { operator: this.#withPaths(operator) }),
      },
      addresses: this.#addresses ?? config.relay.addresses,
      certificate: this.#certificate,
      revocations: this.#revocations,
    }
  }

  #withPaths(operator: NonNullable<RelayConfig['operator']>): NonNullable<RelayConfig['operator']> {
    const { tokenFile, caFile } = operator
    return {
      ...operator,
      ...(tokenFile && { tokenFile: this.#resolve(tokenFile) }),
      ...(caFile && { caFile: this.#resolve(caFile) }),
    }
  }

  /** The key ring of a realm: what its file said last, where it is not good now. */
  #realmRing(realm: string, keysFile: string | undefined): RealmRing {
    const last = this.#realmRings.find((one) => one.realm === realm)?.ring
    const read =
      keysFile && this.#try('InvalidKeys', () => this.#readYaml(this.#resolve(keysFile), realmKeyFile))
    return { realm, ring: keysFile ? read || last : undefined }
  }

  #files({ credentials, realms, relay, tls }: RelayConfig): string[] {
    const named = [
      ...realms.map((realm) => realm.credentials.keysFile),
      credentials.keysFile,
      credentials.revocationsFile,
      relay.addressesFile,
      tls?.certFile,
      tls?.keyFile,
    ]
    return [this.#path, ...named.filter((file) => file !== undefined).map((file) => this.#resolve(file))]
  }

  /** Having no address any more would end every call, so that it is taken for a fault of whoever writes the file. */
  #readAddresses(file: string): RelayAddress[] {
    const addresses = this.#readYaml(file, relayAddressesFile, [])
    if (addresses.length > 0 || !this.#addresses?.length) return addresses
    throw new Error(`${basename(file)} names no address any more; the last ones stay in force`)
  }

  /** Nobody is revoked until there is such a file. */
  #readRevocations(file: string): RevocationList {
    return existsSync(file) ? this.#readYaml(file, revocationList, {}) : NO_REVOCATIONS
  }

  #readYaml<S extends z.ZodType>(file: string, schema: S, empty?: unknown): z.output<S> {
    return parseYaml(file, readText(file), schema, empty)
  }

  #try<T>(reason: ProblemReason, read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      this.#problems.push({ reason, message: (error as Error).message })
      return undefined
    }
  }

  /** Files are named relative to the configuration file. */
  #resolve(file: string): string {
    return resolve(dirname(this.#path), file)
  }
}

function withRing<C extends Omit<CredentialsConfig, 'revocationsFile'>>(
  credentials: C,
  { keys, tokenKeys = [] }: Pick<KeyRingFile, 'keys' | 'tokenKeys'>,
): C {
  const { thirdParty } = credentials
  return {
    ...credentials,
    keys: [...credentials.keys, ...keys],
    ...(thirdParty && { thirdParty: { ...thirdParty, keys: [...thirdParty.keys, ...tokenKeys] } }),
  }
}

/** One ring for all realms of a fleet, without a credential of one being good for another. */
function withDerivedKeys<C extends Pick<CredentialsConfig, 'keys'> & { readonly deriveKeys: boolean }>(
  credentials: C,
  ring: CredentialsConfig['keys'],
  realm: string,
): C {
  if (!credentials.deriveKeys) return credentials
  const derived = ring.map((key) => realmKey(nodeCrypto, key, realm))
  return { ...credentials, keys: [...credentials.keys, ...derived] }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new Error(`there is no file ${file}`)
    if (code === 'EACCES') throw new Error(`${file} may not be read by this user; change its owner or mode`)
    throw new Error(`${file} cannot be read: ${message}`)
  }
}
