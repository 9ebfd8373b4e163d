import type { TransportAddress } from '../stun/address.ts'
import type { Permission } from './allocation.ts'
import type { PeerVerdict } from './peer-policy.ts'
import type { AllocationRequest, HandlerContext } from './request.ts'

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
