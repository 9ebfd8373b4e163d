/** What a page hands to `new RTCPeerConnection({ iceServers })`. */
export interface IceServers {
  iceServers: { urls: string | string[]; username?: string; credential?: string }[]
  /** Seconds until the credentials expire. */
  ttl: number
}

export interface TurnfleetSettings {
  /** Where the operator, or `npm start`, answers. */
  url: string
  /** Stays on this server; a page never sees it. Standalone turnfleet needs none from loopback. */
  apiKey: string | undefined
  /** `namespace/name` of the TurnCluster, where the key may use more than one. */
  cluster: string | undefined
}

const TIMEOUT_MS = 5_000

/** Asks turnfleet for relays and a short-lived credential for one user; this is the whole integration. */
export async function fetchIceServers(turnfleet: TurnfleetSettings, user: string): Promise<IceServers> {
  const response = await fetch(new URL('/v1/ice', turnfleet.url), {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(turnfleet.apiKey ? { authorization: `Bearer ${turnfleet.apiKey}` } : {}),
    },
    body: JSON.stringify({ user, ...(turnfleet.cluster ? { cluster: turnfleet.cluster } : {}) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  if (!response.ok) throw new Error(`turnfleet answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as IceServers
}
