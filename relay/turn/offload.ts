import type { TransportAddress } from '../stun/address.ts'

/**
 * Something below the state machine that forwards application data by itself, as the kernel path of Linux does.
 * The machine says between whom and until when; what is not offloaded goes through the machine as ever. Calls
 * are synchronous; handles are numbers from 0 up, and REFUSED where there is no room or no way.
 */
export interface Offload {
  openAllocation(options: OffloadedAllocationOptions): number
  /** Closes what is open under it first. */
  closeAllocation(allocation: number): void
  setRates(allocation: number, rates: OffloadedRates): void
  /** Lets data pass to and from an IP address, on ports that `anyPort` says. */
  openPermission(allocation: number, options: OffloadedPermissionOptions): number
  setPermission(permission: number, anyPort: boolean, untilMs: number): void
  closePermission(permission: number): void
  openChannel(permission: number, number: number, peerPort: number, untilMs: number): number
  setChannelEnd(channel: number, untilMs: number): void
  closeChannel(channel: number): void
  /** Takes a packet that went through the machine from the rates of the allocation; false: it is beyond them. */
  charge(allocation: number, bytes: number, now: number): boolean
  /** What passed since the last call, in one reused record. */
  collect(allocation: number): Readonly<OffloadedData>
  /** To be called every second or so: looks after routes and says that the relay lives. */
  tick(now: number): void
}

/** Instead of a handle. */
export const REFUSED = -1
/** In the place of a handle: nobody has asked yet. */
export const UNTRIED = -2

export interface OffloadedAllocationOptions {
  readonly client: TransportAddress
  /** Where the client's listener is bound. */
  readonly listener: TransportAddress
  readonly dontFragment: boolean
  readonly rates: OffloadedRates
}

/** Of an allocation, both directions together, with one second's worth saved up; 0 is no limit. */
export interface OffloadedRates {
  readonly bytesPerSecond: number
  readonly packetsPerSecond: number
}

export interface OffloadedPermissionOptions {
  /** Its port does not count. */
  readonly peer: TransportAddress
  /** What the relay socket is bound to. */
  readonly relay: TransportAddress
  /** Otherwise 443 and the ports from 1024 on. */
  readonly anyPort: boolean
  readonly untilMs: number
}

export interface OffloadedData {
  clientPackets: number
  clientBytes: number
  /** UDP payload that came from the client: headers of TURN included. */
  clientFrameBytes: number
  peerPackets: number
  peerBytes: number
  /** UDP payload that went to the client. */
  peerFrameBytes: number
  /** Packets dropped because they were beyond the rates. */
  rateDrops: number
}

export function newOffloadedData(): OffloadedData {
  return {
    clientPackets: 0,
    clientBytes: 0,
    clientFrameBytes: 0,
    peerPackets: 0,
    peerBytes: 0,
    peerFrameBytes: 0,
    rateDrops: 0,
  }
}
