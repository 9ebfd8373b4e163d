import type { TransportAddress } from '../stun/address.ts'
import { type Allocation, NEW_PEERS_SAVED_SECONDS, type Permission } from './allocation.ts'
import type { TurnCore } from './core.ts'
import { type Refusal, refuse } from './outcome.ts'
import type { PeerVerdict } from './peer-policy.ts'
import type { AllocationRequest, HandlerContext } from './request.ts'

/** Why an allocation cannot have permissions for `count` more peers now. */
export function refuseNewPeers(
  { core }: HandlerContext,
  { allocation, now }: AllocationRequest,
  count: number,
): Refusal | undefined {
  if (count === 0) return undefined
  const { permissionsPerAllocation } = core.config.limits
  const full = allocation.permissions.length + count > permissionsPerAllocation
  if (full || !core.table.hasRoomForPermissions(count)) return refuse('permission-limit')
  return withinNewPeerRate(core, allocation, count, now) ? undefined : refuse('new-peer-rate')
}

/** Counts peers that are new to an allocation; false where they come too fast. */
export function withinNewPeerRate(
  { config }: TurnCore,
  { newPeerBucket }: Allocation,
  count: number,
  now: number,
): boolean {
  const { newPeersPerSecondPerAllocation } = config.limits
  return newPeerBucket.take(count, newPeersPerSecondPerAllocation, now, NEW_PEERS_SAVED_SECONDS)
}

/** Installs or refreshes the permission for a peer's IP (RFC 8656 §9); undefined when the table is full. */
export function refreshPermission(
  { core, lifecycle }: HandlerContext,
  { allocation, now }: AllocationRequest,
  peer: TransportAddress,
  verdict: PeerVerdict,
): Permission | undefined {
  const permission = core.table.ensurePermission(allocation, peer, verdict)
  if (!permission) return undefined
  permission.verdict = verdict
  permission.expiresAt = now + core.config.limits.permissionLifetimeSeconds * 1000
  lifecycle.arm(allocation, permission.expiresAt, now)
  return permission
}
