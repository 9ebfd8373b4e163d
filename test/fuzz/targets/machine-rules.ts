import assert from 'node:assert/strict'
import type { ReferenceModel } from '../../simulation/reference-model.ts'
import { address } from '../../support/turn-harness.ts'
import { OWN } from './machine-settings.ts'

const OWN_ADDRESSES = OWN.map((ip) => address(ip.includes(':') ? `[${ip}]:1` : `${ip}:1`))

/** Two clients of the relay reach each other only where both let a relay address in. */
export function checkMeeting(model: ReferenceModel, client: string, other: string, now: number): void {
  const both = OWN_ADDRESSES.some((ip) => [client, other].every((one) => model.permits(one, ip, now)))
  assert.ok(both, `${client} and ${other} met without permissions`)
}
