import { type ApiKey, parseApiKeys } from '../http/api-keys.ts'
import type { Clock } from '../queue/clock.ts'
import type { KubeClient } from './client.ts'
import type { SecretObject } from './objects.ts'
import { API_KEYS_ENTRY } from './options.ts'
import { SecretReader } from './secret-reader.ts'

const READER = 'api-keys'

export interface ApiKeySourceOptions {
  namespace: string
  /** Absent: there are no API keys. */
  apiKeysSecret?: string
  onError: (error: Error) => void
  clock: Clock
  random: () => number
}

/** The API keys of `/v1/ice` from their Secret, read again now and then; a malformed one leaves the last good keys. */
export class ApiKeySource {
  readonly #options: ApiKeySourceOptions
  readonly #reader: SecretReader
  #keys: readonly ApiKey[] = []

  constructor(client: KubeClient, options: ApiKeySourceOptions) {
    this.#options = options
    this.#reader = new SecretReader(client, { ...options, onChange: () => void this.#take() })
  }

  async start(): Promise<void> {
    await this.#take()
  }

  stop(): void {
    this.#reader.stop()
  }

  keys(): readonly ApiKey[] {
    return this.#keys
  }

  async #take(): Promise<void> {
    const { namespace, apiKeysSecret, onError } = this.#options
    if (!apiKeysSecret) return
    try {
      this.#keys = keysOf(await this.#reader.read(READER, namespace, apiKeysSecret))
    } catch (error) {
      onError(new Error(`Secret ${namespace}/${apiKeysSecret}: ${(error as Error).message}`))
    }
  }
}

function keysOf(secret: SecretObject | undefined): readonly ApiKey[] {
  if (!secret) return []
  const encoded = secret.data?.[API_KEYS_ENTRY]
  if (encoded === undefined) throw new Error(`it has no entry ${API_KEYS_ENTRY}`)
  return parseApiKeys(Buffer.from(encoded, 'base64').toString())
}
