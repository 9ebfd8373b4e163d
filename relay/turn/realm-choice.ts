import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { REALM_BYTES_MAX, readText } from '../stun/attributes.ts'
import type { StunReader } from '../stun/reader.ts'
import type { Allocation } from './allocation.ts'
import { isStream, type Link } from './contract.ts'
import type { Realm } from './realm.ts'

/** Longest ORIGIN that is looked at. */
const ORIGIN_BYTES_MAX = 267

/**
 * The realm that a request is checked against: the one it names in REALM, which is the one it was challenged for.
 * Before that, a 401 has to name one (RFC 8489 §9.2.4): by ORIGIN, by the name that the client asked for in TLS, by the listener that it came to, else
 * the default. An allocation keeps its realm, also when that is no longer configured.
 */
export function chooseRealm(
  realms: readonly Realm[],
  reader: StunReader,
  link: Link,
  allocation: Allocation | undefined,
): Realm {
  const standard = realms[0]!
  const made = allocation?.owner.realm
  if (realms.length === 1 && (!made || made.name === standard.name)) return standard
  const named = text(reader, ATTRIBUTE.Realm, REALM_BYTES_MAX)
  return (
    realms.find(({ name }) => name === named) ??
    (made?.name === named ? made : undefined) ??
    byOrigin(realms, reader) ??
    byServerName(realms, link) ??
    realms.find((realm) => realm.isAt(link.local.port, isStream(link.transport))) ??
    standard
  )
}

function byOrigin(realms: readonly Realm[], reader: StunReader): Realm | undefined {
  const origin = text(reader, ATTRIBUTE.Origin, ORIGIN_BYTES_MAX)
  return origin === undefined ? undefined : realms.find((realm) => realm.origins.has(origin))
}

function byServerName(realms: readonly Realm[], { serverName }: Link): Realm | undefined {
  return serverName === undefined ? undefined : realms.find((realm) => realm.isNamed(serverName))
}

function text(reader: StunReader, type: number, maxBytes: number): string | undefined {
  const index = reader.find(type)
  return index < 0 ? undefined : readText(reader, index, maxBytes)
}
