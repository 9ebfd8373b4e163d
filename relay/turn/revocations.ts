import { concerns, type Revocation, type RevocationSubject } from '../api/revocations.ts'

interface Entry {
  readonly revocation: Revocation
  readonly endsAtUnixSeconds: number
}

/** Whose credentials are refused although they verify; an entry that has ended counts no more. */
export class Revocations {
  /** By what an entry names first, so that a request looks at few. */
  readonly #byUser = new Map<string, Entry[]>()
  readonly #byTenant = new Map<string, Entry[]>()
  readonly #byKey = new Map<string, Entry[]>()
  readonly #size: number

  constructor(revocations: readonly Revocation[]) {
    this.#size = revocations.length
    for (const revocation of revocations) {
      const { user, tenant, keyId, until } = revocation
      const entry = { revocation, endsAtUnixSeconds: Date.parse(until) / 1000 }
      if (user !== undefined) add(this.#byUser, user, entry)
      else if (tenant !== undefined) add(this.#byTenant, tenant, entry)
      else if (keyId !== undefined) add(this.#byKey, keyId, entry)
    }
  }

  includes(subject: RevocationSubject, unixSeconds: number): boolean {
    if (this.#size === 0) return false
    const { user, username, tenant, keyId } = subject
    return [
      this.#byUser.get(user),
      username !== undefined && username !== user ? this.#byUser.get(username) : undefined,
      tenant === undefined ? undefined : this.#byTenant.get(tenant),
      keyId === undefined ? undefined : this.#byKey.get(keyId),
    ].some((entries) =>
      entries?.some(
        ({ revocation, endsAtUnixSeconds }) =>
          endsAtUnixSeconds > unixSeconds && concerns(revocation, subject),
      ),
    )
  }
}

function add(index: Map<string, Entry[]>, name: string, entry: Entry): void {
  const entries = index.get(name)
  if (entries) entries.push(entry)
  else index.set(name, [entry])
}
