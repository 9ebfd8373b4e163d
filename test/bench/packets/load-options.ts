/** What the load generator is to do; JSON in its first argument. */
export interface LoadOptions {
  readonly server: { readonly address: string; readonly port: number }
  /** The generator's own address: of clients and peers. */
  readonly local: string
  /** What clients speak with the server. */
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly username: string
  readonly password: string
  /** Allocations, each with one peer. */
  readonly flows: number
  /** Sockets that the flows' peers share; absent: each has its own. */
  readonly peers?: number
  /** `open`: the flows of the bare forwarder, which speaks no TURN. */
  readonly framing: 'channel' | 'indication' | 'open'
  /** `up`: from clients to peers. */
  readonly direction: 'up' | 'down' | 'both'
  readonly payloadBytes: number
  /** Packets of one flow that leave together. */
  readonly burst: number
  /** Offered, over all flows and both directions. */
  readonly packetsPerSecond: number
  readonly warmUpSeconds: number
  /** Nothing is sent between warming up and measuring for so long; absent: they follow each other. */
  readonly restSeconds?: number
  /** What strangers send beside the flows while it is measured. */
  readonly flood?: Flood
  readonly seconds: number
}

/** What strangers send. */
export interface Flood {
  /** `garbage`: neither STUN nor ChannelData. */
  readonly kind: 'allocate' | 'binding' | 'garbage'
  readonly packetsPerSecond: number
}

/** Microseconds from the generator to the server and back. */
export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

/** What the generator says, one JSON line each: between `start` and `end` lies what is measured. */
export type LoadLine =
  | { readonly kind: 'ready' }
  | { readonly kind: 'rest' }
  | { readonly kind: 'start' }
  | {
      readonly kind: 'end'
      readonly seconds: number
      readonly sent: number
      readonly received: number
      readonly latency: Latency
      /** Packets of the flood. */
      readonly flooded: number
    }
