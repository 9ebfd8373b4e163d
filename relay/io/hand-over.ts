/** A listening socket that is bound; a `udp` one carries DTLS as well, a `tcp` one TLS. */
export interface ListeningSocket {
  readonly transport: 'udp' | 'tcp'
  readonly address: string
  readonly port: number
  readonly descriptor: number
}

/** What one process has to give to the next, beside what the kernel keeps. */
export interface HandedListeners {
  readonly sockets: readonly ListeningSocket[]
  /** What the DTLS cookies are made with that clients come back with, in each event loop. */
  readonly cookieSecrets: readonly Uint8Array[]
}

/**
 * Lets another process have the listening sockets while live clients stay with this one. Nothing that clients send
 * is lost between the calls: it waits in the sockets, which stay open from one process to the other.
 */
export interface ListenerHandOver {
  /**
   * Gives live clients of UDP and DTLS a socket of their own, some in every turn: to be done ahead, as it takes its
   * time. Rejects with what to change where the system refuses; everybody is served on.
   */
  prepare(): Promise<void>
  /** Takes in what live clients have sent to the listeners, and reads those no more. Throws as `prepare` rejects. */
  release(): HandedListeners
  /** Reads the listeners again. */
  resume(): void
  /** In the next process, before it listens. */
  acceptCookies(secrets: readonly Uint8Array[]): void
  /** Lets go of the listeners, which another process reads. */
  finish(): void
}
